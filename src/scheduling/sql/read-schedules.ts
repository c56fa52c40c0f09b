import type { Tx } from '../../database/database.js';
import type { ExecutionStatus } from '../../execution/execution-status.js';
import type { FireOutcome } from '../schedule-fire.entity.js';
import { Schedule } from '../schedule.entity.js';
import { FACTS_COLUMNS, FACTS_FROM, type FactsRow } from './run-facts.js';

/** A schedule together with what else there is to tell of it. */
export interface ScheduleRow {
  schedule: Schedule;
  facts: FactsRow;
  lastFire: { nominalAt: Date; outcome: FireOutcome; reason: string | null } | null;
  /** The last fire that started a run; its status is null for who may not see that. */
  lastRun: { firedAt: Date; executionId: string; status: ExecutionStatus | null } | null;
}

export async function findSchedule(
  tx: Tx,
  key: { tenantId: string; planId: string },
): Promise<ScheduleRow | null> {
  const schedule = await tx.findOneBy(Schedule, key);
  return schedule && ((await describe(tx, [schedule]))[0] ?? null);
}

/** Schedules of the plans that the caller may see, newest first. */
export async function listSchedules(
  tx: Tx,
  page: { tenantId: string; after: string | null; limit: number },
): Promise<ScheduleRow[]> {
  const schedules = await tx
    .createQueryBuilder(Schedule, 's')
    .where('s.tenantId = :tenantId', { tenantId: page.tenantId })
    .andWhere('(:after::uuid is null or s.id < :after::uuid)', { after: page.after })
    .andWhere('exists (select from plans p where p.tenant_id = s.tenant_id and p.id = s.plan_id)')
    .orderBy('s.id', 'DESC')
    .limit(page.limit)
    .getMany();
  return await describe(tx, schedules);
}

interface DescriptionRow extends FactsRow {
  id: string;
  nominal_at: Date | null;
  outcome: FireOutcome | null;
  reason: string | null;
  fired_at: Date | null;
  execution_id: string | null;
  run_status: ExecutionStatus | null;
}

async function describe(tx: Tx, schedules: Schedule[]): Promise<ScheduleRow[]> {
  if (schedules.length === 0) return [];
  const rows: DescriptionRow[] = await tx.query(
    `select s.id, ${FACTS_COLUMNS}, fire.nominal_at, fire.outcome, fire.reason,
            run.fired_at, run.execution_id, run.status as run_status
       from ${FACTS_FROM}
       left join lateral (
         select f.nominal_at, f.outcome, f.reason from schedule_fires f
          where f.tenant_id = s.tenant_id and f.schedule_id = s.id
          order by f.nominal_at desc limit 1) fire on true
       left join lateral (
         select f.fired_at, f.execution_id, e.status
           from schedule_fires f
           left join executions e on e.tenant_id = f.tenant_id and e.id = f.execution_id
          where f.tenant_id = s.tenant_id and f.schedule_id = s.id and f.execution_id is not null
          order by f.nominal_at desc limit 1) run on true
      where s.tenant_id = $1 and s.id = any ($2)`,
    [schedules[0]?.tenantId, schedules.map(({ id }) => id)],
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  return schedules.flatMap((schedule) => {
    const row = byId.get(schedule.id);
    return row ? [toScheduleRow(schedule, row)] : [];
  });
}

function toScheduleRow(schedule: Schedule, row: DescriptionRow): ScheduleRow {
  const { nominal_at: nominalAt, outcome, reason } = row;
  const { fired_at: firedAt, execution_id: executionId, run_status: status } = row;
  return {
    schedule,
    facts: row,
    lastFire: nominalAt && outcome ? { nominalAt, outcome, reason } : null,
    lastRun: firedAt && executionId !== null ? { firedAt, executionId, status } : null,
  };
}

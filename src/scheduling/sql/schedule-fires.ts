import type { Tx } from '../../database/database.js';
import type { ScheduleFire } from '../schedule-fire.entity.js';
import type { ScheduleKey } from './lock-schedule.js';

/** How many of the newest fires of a schedule are kept. */
const KEPT_FIRES = 100;

/** Of some times, those that have fired already: a clock that was set back brings times again. */
export async function listFired(tx: Tx, key: ScheduleKey, times: Date[]): Promise<Set<number>> {
  const rows: { nominal_at: Date }[] = await tx.query(
    `select nominal_at from schedule_fires
      where tenant_id = $1 and schedule_id = $2 and nominal_at = any ($3::timestamptz[])`,
    [key.tenantId, key.scheduleId, times],
  );
  return new Set(rows.map((row) => row.nominal_at.getTime()));
}

export async function insertFire(
  tx: Tx,
  key: ScheduleKey,
  fire: Pick<ScheduleFire, 'nominalAt' | 'outcome' | 'executionId' | 'reason'>,
): Promise<void> {
  await tx.query(
    `insert into schedule_fires (tenant_id, schedule_id, nominal_at, outcome, execution_id, reason)
     values ($1, $2, $3, $4, $5, $6)`,
    [key.tenantId, key.scheduleId, fire.nominalAt, fire.outcome, fire.executionId, fire.reason],
  );
}

/** Times that wait for the run before them, oldest first. */
export async function listWaiting(tx: Tx, key: ScheduleKey): Promise<Date[]> {
  const rows: { nominal_at: Date }[] = await tx.query(
    `select nominal_at from schedule_fires
      where tenant_id = $1 and schedule_id = $2 and outcome = 'waiting' order by nominal_at`,
    [key.tenantId, key.scheduleId],
  );
  return rows.map((row) => row.nominal_at);
}

export async function startWaiting(
  tx: Tx,
  key: ScheduleKey,
  fire: { nominalAt: Date; executionId: string },
): Promise<void> {
  await tx.query(
    `update schedule_fires set outcome = 'started', execution_id = $4, fired_at = now()
      where tenant_id = $1 and schedule_id = $2 and nominal_at = $3`,
    [key.tenantId, key.scheduleId, fire.nominalAt, fire.executionId],
  );
}

export async function dropWaiting(tx: Tx, key: ScheduleKey, reason: string): Promise<void> {
  await tx.query(
    `update schedule_fires set outcome = 'skipped', reason = $3
      where tenant_id = $1 and schedule_id = $2 and outcome = 'waiting'`,
    [key.tenantId, key.scheduleId, reason],
  );
}

/** Runs of a schedule that haven't ended; shown to its run-as user alone. */
export async function listUnfinishedRuns(tx: Tx, key: ScheduleKey): Promise<string[]> {
  const rows: { id: string }[] = await tx.query(
    'select unfinished_schedule_runs as id from unfinished_schedule_runs($1)',
    [key.scheduleId],
  );
  return rows.map((row) => row.id);
}

/** Removes old fires, apart from those that still decide what later ones do. */
export async function pruneFires(tx: Tx, key: ScheduleKey, unfinished: string[]): Promise<void> {
  await tx.query(
    `delete from schedule_fires
      where tenant_id = $1 and schedule_id = $2 and outcome <> 'waiting'
        and (execution_id is null or execution_id <> all ($4::uuid[]))
        and nominal_at < (select nominal_at from schedule_fires
                           where tenant_id = $1 and schedule_id = $2
                           order by nominal_at desc offset $3 limit 1)`,
    [key.tenantId, key.scheduleId, KEPT_FIRES - 1, unfinished],
  );
}

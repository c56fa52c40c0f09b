import type { Database } from '../../database/database.js';
import type { CatchUp } from '../schedule.entity.js';
import type { ScheduleKey } from './lock-schedule.js';
import type { FactsRow } from './run-facts.js';

/** What `schedule_grounds` tells of a schedule. */
export interface GroundsRow extends FactsRow {
  tenant_id: string;
  schedule_id: string;
  now: Date;
  is_free: boolean;
  as_of: string;
  cron: string | null;
  every_seconds: number | null;
  at: Date | null;
  timezone: string;
  anchor_at: Date;
  starts_at: Date | null;
  ends_at: Date | null;
  catch_up: CatchUp;
  catch_up_seconds: number;
  jitter_seconds: number;
  next_fire_at: Date | null;
}

/** A time of a schedule that fires, and the run that it begins. */
export interface SimpleFire extends ScheduleKey {
  asOf: string;
  nominalAt: Date;
  executionId: string;
  next: { fireAt: Date; dueAt: Date } | null;
}

export async function readGrounds(
  database: Pick<Database, 'query'>,
  keys: ScheduleKey[],
): Promise<GroundsRow[]> {
  return await database.query<GroundsRow>('select * from schedule_grounds($1, $2)', [
    keys.map(({ tenantId }) => tenantId),
    keys.map(({ scheduleId }) => scheduleId),
  ]);
}

/** In one transaction; see the function. @returns how many fired */
export async function fireSchedules(
  database: Pick<Database, 'query'>,
  fires: SimpleFire[],
): Promise<number> {
  const rows = await database.query('select * from fire_schedules($1)', [
    JSON.stringify(
      fires.map((fire) => ({
        tenant_id: fire.tenantId,
        schedule_id: fire.scheduleId,
        as_of: fire.asOf,
        fire_at: fire.nominalAt,
        execution_id: fire.executionId,
        next_fire_at: fire.next?.fireAt,
        due_at: fire.next?.dueAt,
      })),
    ),
  ]);
  return rows.length;
}

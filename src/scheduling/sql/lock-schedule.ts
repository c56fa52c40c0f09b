import type { Tx } from '../../database/database.js';
import { Schedule } from '../schedule.entity.js';

export interface ScheduleKey {
  tenantId: string;
  scheduleId: string;
}

/**
 * A schedule that nobody else fires or changes until the transaction ends. Null: it isn't there, the
 * caller may not change it, or, when others are skipped, somebody else has it.
 */
export async function lockSchedule(
  tx: Tx,
  key: ScheduleKey,
  { skipLocked }: { skipLocked: boolean },
): Promise<Schedule | null> {
  const query = tx
    .createQueryBuilder(Schedule, 's')
    .where('s.tenantId = :tenantId and s.id = :scheduleId', key)
    .setLock('pessimistic_write');
  return await (skipLocked ? query.setOnLocked('skip_locked') : query).getOne();
}

/** The same for the schedule of a plan, waiting for whoever has it. */
export async function lockPlanSchedule(
  tx: Tx,
  key: { tenantId: string; planId: string },
): Promise<Schedule | null> {
  return await tx
    .createQueryBuilder(Schedule, 's')
    .where('s.tenantId = :tenantId and s.planId = :planId', key)
    .setLock('pessimistic_write')
    .getOne();
}

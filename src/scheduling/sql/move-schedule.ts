import type { Tx } from '../../database/database.js';
import type { Schedule } from '../schedule.entity.js';
import type { StopReason } from '../stop-reason.js';

type Place = Pick<Schedule, 'tenantId' | 'id'>;

/** Sets when a schedule fires next; without a next time it has ended. */
export async function advanceSchedule(
  tx: Tx,
  { tenantId, id }: Place,
  next: { fireAt: Date; dueAt: Date } | null,
): Promise<void> {
  await tx.query(
    `update schedules
        set next_fire_at = $3::timestamptz, due_at = $4::timestamptz,
            status = case when $3::timestamptz is null then 'ended' else 'active' end
      where tenant_id = $1 and id = $2 and status = 'active'`,
    [tenantId, id, next?.fireAt ?? null, next?.dueAt ?? null],
  );
}

/** Ends the firing of a schedule that can't run, with the reason for people to read. */
export async function stopSchedule(
  tx: Tx,
  { tenantId, id }: Place,
  reason: StopReason,
): Promise<void> {
  await tx.query(
    `update schedules
        set status = 'error', error = $3, next_fire_at = null, due_at = null, updated_at = now()
      where tenant_id = $1 and id = $2`,
    [tenantId, id, JSON.stringify(reason)],
  );
}

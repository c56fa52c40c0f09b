import { toStorableJson } from '../../common/json.js';
import type { Tx } from '../../database/database.js';
import type { ScheduleContent } from '../schedule-content.js';
import type { Schedule } from '../schedule.entity.js';

export type NewSchedule = ScheduleContent &
  Pick<Schedule, 'tenantId' | 'id' | 'planId' | 'ownerId' | 'planVersion'> & {
    nextFireAt: Date;
    dueAt: Date;
  };

/** Stores the schedule of a plan, active, in place of the one that it had, which keeps its id. */
export async function putSchedule(tx: Tx, schedule: NewSchedule): Promise<void> {
  await tx.query(
    `insert into schedules (tenant_id, id, plan_id, owner_id, plan_version, cron, every_seconds, at,
                            timezone, anchor_at, starts_at, ends_at, overlap, catch_up, catch_up_seconds,
                            jitter_seconds, input, status, next_fire_at, due_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'active', $18, $19)
     on conflict (tenant_id, plan_id) do update
        set owner_id = excluded.owner_id, plan_version = excluded.plan_version, cron = excluded.cron,
            every_seconds = excluded.every_seconds, at = excluded.at, timezone = excluded.timezone,
            anchor_at = excluded.anchor_at, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
            overlap = excluded.overlap, catch_up = excluded.catch_up,
            catch_up_seconds = excluded.catch_up_seconds, jitter_seconds = excluded.jitter_seconds,
            input = excluded.input, status = excluded.status, error = null,
            next_fire_at = excluded.next_fire_at, due_at = excluded.due_at, updated_at = now()`,
    [
      schedule.tenantId,
      schedule.id,
      schedule.planId,
      schedule.ownerId,
      schedule.planVersion,
      schedule.cron,
      schedule.everySeconds,
      schedule.at,
      schedule.timezone,
      schedule.anchorAt,
      schedule.startsAt,
      schedule.endsAt,
      schedule.overlap,
      schedule.catchUp,
      schedule.catchUpSeconds,
      schedule.jitterSeconds,
      toStorableJson(schedule.input),
      schedule.nextFireAt,
      schedule.dueAt,
    ],
  );
}

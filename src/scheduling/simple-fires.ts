import { Injectable } from '@nestjs/common';

import { newId } from '../common/ids.js';
import { Database } from '../database/database.js';
import { findDueTimes, type DueTimes } from './due-times.js';
import { jitterMs, withJitter } from './fire-times.js';
import type { FiringSchedule } from './scheduled-run.js';
import {
  fireSchedules,
  readGrounds,
  type GroundsRow,
  type SimpleFire,
} from './sql/fire-schedules.js';
import { toRunFacts } from './sql/run-facts.js';
import { findStopReason } from './stop-reason.js';

/**
 * Fires what most schedules have to fire: the one time that came due, with nothing in its way. Many of
 * them, of any tenants, are one transaction: alone, each would be a dozen statements.
 */
@Injectable()
export class SimpleFires {
  constructor(private readonly database: Database) {}

  /**
   * Fires those that it can, all of them or none. Each is left to another host that has it, or to
   * the next second when it changes just now.
   * @returns how many runs it queued, and who needs a look of its own: it stops, was missed, has several
   *   times due, or other runs of it that haven't ended
   */
  async fire(due: FiringSchedule[]): Promise<{ started: number; rest: FiringSchedule[] }> {
    const grounds = await readGrounds(this.database, due);
    const fires = new Map<string, SimpleFire>();
    for (const row of grounds) {
      const fire = findSimpleFire(row);
      if (fire) fires.set(row.schedule_id, fire);
    }
    const rest = due.filter(({ scheduleId }) => !fires.has(scheduleId));
    if (fires.size === 0) return { started: 0, rest };
    return { started: await fireSchedules(this.database, [...fires.values()]), rest };
  }
}

function findSimpleFire(row: GroundsRow): SimpleFire | null {
  if (!row.is_free || !row.next_fire_at || findStopReason(toRunFacts(row))) return null;
  const times = findTimes(row, row.next_fire_at);
  const isSimple = times?.fire.length === 1 && !times.hasMissed;
  if (!isSimple || times.fire[0]?.getTime() !== row.next_fire_at.getTime()) return null;
  const schedule = { id: row.schedule_id, jitterSeconds: row.jitter_seconds };
  return {
    tenantId: row.tenant_id,
    scheduleId: row.schedule_id,
    asOf: row.as_of,
    nominalAt: row.next_fire_at,
    executionId: newId(),
    next: withJitter(schedule, times.next),
  };
}

/** Null: they can't be told, and whoever looks at it by itself says so. */
function findTimes(row: GroundsRow, nextFireAt: Date): DueTimes | null {
  const timing = {
    cron: row.cron,
    everySeconds: row.every_seconds,
    at: row.at,
    timezone: row.timezone,
    anchorAt: row.anchor_at,
    startsAt: row.starts_at,
    endsAt: row.ends_at,
  };
  try {
    return findDueTimes(
      {
        timing,
        nextFireAt,
        jitterMs: jitterMs(row.schedule_id, row.jitter_seconds),
        catchUp: row.catch_up,
        catchUpSeconds: row.catch_up_seconds,
      },
      row.now,
    );
  } catch {
    return null;
  }
}

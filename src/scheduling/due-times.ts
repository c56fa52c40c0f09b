import { newestFireTimes, nextFireTime, type Timing } from './fire-times.js';
import type { CatchUp } from './schedule.entity.js';

/** A time is fired in its turn up to this long after it came due: hosts ask every second. */
const IN_TIME_MS = 5_000;
/** Without catch-up, the newest time still fires up to this late: a restart is no downtime. */
export const RESTART_GRACE_SECONDS = 60;
/** The most that is caught up at once. */
export const MAX_CAUGHT_UP = 100;

export interface DueSchedule {
  timing: Timing;
  /** The oldest time that hasn't fired. */
  nextFireAt: Date;
  jitterMs: number;
  catchUp: CatchUp;
  catchUpSeconds: number;
}

export interface DueTimes {
  /** To fire now, oldest first. */
  fire: Date[];
  /** Whether older ones are left out for good. */
  hasMissed: boolean;
  /** The next one; null when none is left. */
  next: Date | null;
}

/**
 * What a schedule that is due at `now` fires. Times up to 5 s late all count. Of older ones `all` takes
 * those of the last `catchUpSeconds`, at most the newest 100; `last` and `none` take the newest one,
 * unless there is a younger one to fire: `last` within `catchUpSeconds`, `none` within 60 s.
 */
export function findDueTimes(schedule: DueSchedule, now: Date): DueTimes {
  const { timing, nextFireAt, catchUp } = schedule;
  // Jitter moves a schedule as a whole: this is where it would stand without.
  const to = before(now, schedule.jitterMs);
  const since = (ms: number): Date => {
    const from = before(to, ms);
    return from > nextFireAt ? from : nextFireAt;
  };
  const fire = pick();
  const oldest = fire[0];
  return {
    fire,
    hasMissed: nextFireAt <= to && (!oldest || oldest > nextFireAt),
    next: nextFireTime(timing, to),
  };

  function pick(): Date[] {
    if (catchUp === 'all') {
      const windowMs = Math.max(schedule.catchUpSeconds * 1000, IN_TIME_MS);
      return newestFireTimes(timing, { from: since(windowMs), to }, MAX_CAUGHT_UP);
    }
    const inTime = newestFireTimes(timing, { from: since(IN_TIME_MS), to }, MAX_CAUGHT_UP);
    if (inTime.length > 0) return inTime;
    const lateSeconds = catchUp === 'last' ? schedule.catchUpSeconds : RESTART_GRACE_SECONDS;
    return newestFireTimes(timing, { from: since(lateSeconds * 1000), to }, 1);
  }
}

function before(time: Date, ms: number): Date {
  return new Date(time.getTime() - ms);
}

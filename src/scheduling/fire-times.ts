import { createHash } from 'node:crypto';

import { Cron } from 'croner';

import type { Schedule } from './schedule.entity.js';

/** When a schedule fires, apart from its jitter. Exactly one of `cron`, `everySeconds` and `at` is set. */
export type Timing = Pick<
  Schedule,
  'cron' | 'everySeconds' | 'at' | 'timezone' | 'anchorAt' | 'startsAt' | 'endsAt'
>;

/**
 * The first time after `after` that a schedule names, or null when none is left. Times of `cron` are
 * local ones: a fixed time that a change of clocks skips fires once, at the first moment after the
 * gap, and one that it repeats fires once, the first time it comes. A cron that names every hour, or
 * every so many minutes, goes on through both.
 */
export function nextFireTime(timing: Timing, after: Date): Date | null {
  const from = latest(after, timing.startsAt && justBefore(timing.startsAt));
  const next = firstAfter(timing, from);
  return next && (!timing.endsAt || next < timing.endsAt) ? next : null;
}

/** The next `count` times after `after`, oldest first. */
export function nextFireTimes(timing: Timing, after: Date, count: number): Date[] {
  const times: Date[] = [];
  for (let next = nextFireTime(timing, after); next; next = nextFireTime(timing, next)) {
    times.push(next);
    if (times.length === count) break;
  }
  return times;
}

/** The newest `count` times from `from` to `to`, both included, oldest first. */
export function newestFireTimes(
  timing: Timing,
  range: { from: Date; to: Date },
  count: number,
): Date[] {
  const from = latest(range.from, timing.startsAt);
  const to = timing.endsAt && timing.endsAt <= range.to ? justBefore(timing.endsAt) : range.to;
  return newestUntil(timing, to, count).filter((time) => time >= from);
}

/** How much later than its times a schedule comes due: the same for all of them, below the maximum. */
export function jitterMs(scheduleId: string, jitterSeconds: number): number {
  if (jitterSeconds === 0) return 0;
  const hash = createHash('sha256').update(scheduleId).digest().readUIntBE(0, 6);
  return hash % (jitterSeconds * 1000);
}

/** A time and when it comes due; null when none is left. */
export function withJitter(
  schedule: Pick<Schedule, 'id' | 'jitterSeconds'>,
  fireAt: Date | null,
): { fireAt: Date; dueAt: Date } | null {
  if (!fireAt) return null;
  const ms = jitterMs(schedule.id, schedule.jitterSeconds);
  return { fireAt, dueAt: new Date(fireAt.getTime() + ms) };
}

/** @throws TypeError, RangeError when it isn't one */
export function parseCron(timing: Pick<Timing, 'cron' | 'timezone'>): Cron {
  return new Cron(timing.cron ?? '', {
    timezone: timing.timezone,
    mode: '5-or-6-parts',
    paused: true,
  });
}

function firstAfter(timing: Timing, after: Date): Date | null {
  if (timing.at) return timing.at > after ? timing.at : null;
  if (timing.everySeconds !== null) return onGrid(timing, gridSteps(timing, after) + 1);
  return parseCron(timing).nextRun(after);
}

function newestUntil(timing: Timing, to: Date, count: number): Date[] {
  if (timing.at) return timing.at <= to ? [timing.at] : [];
  if (timing.everySeconds !== null) {
    const last = gridSteps(timing, to);
    const first = Math.max(firstGridStep(timing), last - count + 1);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) =>
      onGrid(timing, first + i),
    );
  }
  // croner counts whole seconds, and leaves out the one that it is given.
  const nextSecond = new Date(Math.floor(to.getTime() / 1000) * 1000 + 1000);
  return parseCron(timing).previousRuns(count, nextSecond).reverse();
}

/** Steps of the grid from its anchor to the last time that is not after `until`. */
function gridSteps(timing: Timing, until: Date): number {
  const stepMs = (timing.everySeconds ?? 1) * 1000;
  const steps = Math.floor((until.getTime() - timing.anchorAt.getTime()) / stepMs);
  return Math.max(steps, firstGridStep(timing) - 1);
}

/** A schedule that says when it starts fires then; another one after its first interval. */
function firstGridStep(timing: Timing): number {
  return timing.startsAt ? 0 : 1;
}

function onGrid(timing: Timing, steps: number): Date {
  return new Date(timing.anchorAt.getTime() + steps * (timing.everySeconds ?? 1) * 1000);
}

function justBefore(time: Date): Date {
  return new Date(time.getTime() - 1);
}

function latest(time: Date, other: Date | null): Date {
  return other && other > time ? other : time;
}

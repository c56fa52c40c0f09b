import { describe, expect, it } from '@jest/globals';

import { findDueTimes, type DueSchedule } from './due-times.js';

const NOON = '2026-11-20T12:00:00.000Z';
const EACH_SECOND = '* * * * * *';
const EACH_MINUTE = '* * * * *';

describe('due times', () => {
  it('are one, when a host asks in time', () => {
    const due = findDueTimes(scheduleOf({ cron: EACH_MINUTE }), after(0.4));
    expect(due).toEqual({ fire: [new Date(NOON)], hasMissed: false, next: after(60) });
  });

  it('are all of the last seconds, when a host asks a little late', () => {
    const due = findDueTimes(scheduleOf({ cron: EACH_SECOND }), after(3.2));
    expect(due.fire).toEqual([after(0), after(1), after(2), after(3)]);
    expect(due).toMatchObject({ hasMissed: false, next: after(4) });
  });

  it.each([
    ['none', 30, [30], true],
    ['none', 59, [59], true],
    ['last', 30, [30], true],
  ] as const)(
    'with catch-up %s, %i s late, leave older seconds out',
    (catchUp, late, newest, missed) => {
      const due = findDueTimes(scheduleOf({ cron: EACH_SECOND, catchUp }), after(late));
      // The newest seconds are in time by themselves.
      expect(due.fire.at(-1)).toEqual(after(newest[0]));
      expect(due.fire).toHaveLength(6);
      expect(due.hasMissed).toBe(missed);
    },
  );

  it('without catch-up outlive a restart, and no more', () => {
    const hourly = scheduleOf({ cron: '0 * * * *' });
    expect(findDueTimes(hourly, after(59))).toMatchObject({ fire: [after(0)], hasMissed: false });
    expect(findDueTimes(hourly, after(61))).toEqual({
      fire: [],
      hasMissed: true,
      next: after(3600),
    });
  });

  it('with the last one caught up are the newest of the window', () => {
    const last = scheduleOf({ cron: '*/10 * * * *', catchUp: 'last', catchUpSeconds: 3600 });
    expect(findDueTimes(last, after(2500))).toEqual({
      fire: [after(2400)],
      hasMissed: true,
      next: after(3000),
    });
    const daily = scheduleOf({ cron: '0 12 * * *', catchUp: 'last', catchUpSeconds: 3600 });
    expect(findDueTimes(daily, after(3599)).fire).toEqual([after(0)]);
    expect(findDueTimes(daily, after(3601))).toMatchObject({ fire: [], hasMissed: true });
  });

  it('with all caught up are those of the window, a hundred at most', () => {
    const all = scheduleOf({ cron: EACH_MINUTE, catchUp: 'all', catchUpSeconds: 86_400 });
    expect(findDueTimes(all, after(600))).toMatchObject({ hasMissed: false, next: after(660) });
    expect(findDueTimes(all, after(600)).fire).toHaveLength(11);
    const month = findDueTimes(all, after(30 * 86_400));
    expect(month.fire).toHaveLength(100);
    expect(month).toMatchObject({ hasMissed: true });
    expect(month.fire.at(-1)).toEqual(after(30 * 86_400));
    const short = scheduleOf({ cron: EACH_MINUTE, catchUp: 'all', catchUpSeconds: 120 });
    expect(findDueTimes(short, after(600)).fire).toEqual([after(480), after(540), after(600)]);
  });

  it('come later by the jitter, and are told without it', () => {
    const schedule = { ...scheduleOf({ cron: EACH_MINUTE }), jitterMs: 30_000 };
    expect(findDueTimes(schedule, after(30))).toEqual({
      fire: [after(0)],
      hasMissed: false,
      next: after(60),
    });
    expect(findDueTimes(schedule, after(29))).toEqual({
      fire: [],
      hasMissed: false,
      next: after(0),
    });
  });
});

function after(seconds: number): Date {
  return new Date(Date.parse(NOON) + seconds * 1000);
}

function scheduleOf(
  options: { cron: string } & Partial<Pick<DueSchedule, 'catchUp' | 'catchUpSeconds'>>,
): DueSchedule {
  return {
    timing: {
      cron: options.cron,
      everySeconds: null,
      at: null,
      timezone: 'UTC',
      anchorAt: new Date(NOON),
      startsAt: null,
      endsAt: null,
    },
    nextFireAt: new Date(NOON),
    jitterMs: 0,
    catchUp: options.catchUp ?? 'none',
    catchUpSeconds: options.catchUpSeconds ?? 86_400,
  };
}

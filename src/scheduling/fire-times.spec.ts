import { describe, expect, it } from '@jest/globals';

import {
  jitterMs,
  newestFireTimes,
  nextFireTime,
  nextFireTimes,
  type Timing,
} from './fire-times.js';
import { toLocalTime } from './local-time.js';

const ANCHOR = new Date('2026-01-01T00:00:00Z');

describe('fire times', () => {
  /** Local times, as people in the zone see them, after an instant. */
  it.each([
    // A fixed time that is skipped fires once, right after the gap.
    ['30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00Z', ['29T03:00+02', '30T02:30+02']],
    ['0 2 * * *', 'Australia/Lord_Howe', '2026-10-03T12:00Z', ['04T02:30+11', '05T02:00+11']],
    ['15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T12:00Z', ['04T02:30+11', '05T02:15+11']],
    ['0 0 * * *', 'America/Sao_Paulo', '2018-11-03T12:00Z', ['04T01:00-02', '05T00:00-02']],
    ['0 0 * * *', 'Africa/Cairo', '2026-04-23T12:00Z', ['24T01:00+03', '25T00:00+03']],
    // A fixed time that is repeated fires the first time.
    ['30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00Z', ['25T02:30+02', '26T02:30+01']],
    ['30 1 * * *', 'America/New_York', '2026-10-31T12:00Z', ['01T01:30-04', '02T01:30-05']],
    ['45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T12:00Z', ['05T01:45+11', '06T01:45+10:30']],
    // Also for who looks between the two.
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25T00:45Z', ['26T02:30+01']],
    // What names every hour, or every so many minutes, goes on through both.
    ['30 * * * *', 'Europe/Berlin', '2026-10-25T00:00Z', ['25T02:30+02', '25T02:30+01']],
    ['0 * * * *', 'Europe/Berlin', '2026-03-29T00:00Z', ['29T03:00+02', '29T04:00+02']],
    ['*/30 * * * *', 'Europe/Berlin', '2026-03-29T00:29Z', ['29T01:30+01', '29T03:00+02']],
    ['*/15 * * * *', 'Australia/Lord_Howe', '2026-04-04T14:40Z', ['05T01:45+11', '05T01:30+10:30']],
    ['*/20 * * * *', 'Australia/Lord_Howe', '2026-10-03T15:09Z', ['04T01:40+10:30', '04T02:40+11']],
    // Far from any change.
    ['0 9 * * 1-5', 'Asia/Kolkata', '2026-11-20T04:00Z', ['23T09:00+05:30', '24T09:00+05:30']],
    ['0 0 29 2 *', 'UTC', '2026-11-20T00:00Z', ['29T00:00+00', '29T00:00+00']],
  ])('of %s in %s after %s', (cron, timezone, after, expected) => {
    const timing = timingOf({ cron, timezone });
    const times = nextFireTimes(timing, new Date(after), expected.length);
    expect(times.map((time) => shortLocal(time, timezone))).toEqual(expected);
  });

  it.each([
    'Europe/Berlin',
    'Australia/Lord_Howe',
    'America/New_York',
    'Africa/Cairo',
    'Asia/Tehran',
  ])('never repeat or lose one, wherever one looks from (%s)', (timezone) => {
    for (const cron of [
      '30 2 * * *',
      '45 1 * * *',
      '*/15 * * * *',
      '0 0 * * *',
      '*/10 1-2 * * *',
    ]) {
      const timing = timingOf({ cron, timezone });
      for (const start of [
        '2026-03-27T00:07Z',
        '2026-04-03T00:07Z',
        '2026-10-01T00:07Z',
        '2026-10-24T00:07Z',
        '2026-10-30T00:07Z',
      ]) {
        const times = nextFireTimes(timing, new Date(start), 60);
        times.slice(1).forEach((time, i) => {
          const previous = times[i] ?? time;
          expect(time > previous).toBe(true);
          const between = new Date((previous.getTime() + time.getTime()) / 2);
          expect(nextFireTime(timing, between)).toEqual(time);
        });
        const range = { from: new Date(start), to: times.at(-1) ?? new Date() };
        expect(newestFireTimes(timing, range, 60)).toEqual(times);
      }
    }
  });

  it('of seconds are whole seconds', () => {
    const timing = timingOf({ cron: '* * * * * *' });
    expect(nextFireTime(timing, new Date('2026-11-20T12:00:00.500Z'))).toEqual(
      new Date('2026-11-20T12:00:01Z'),
    );
    expect(nextFireTime(timing, new Date('2026-11-20T12:00:01Z'))).toEqual(
      new Date('2026-11-20T12:00:02Z'),
    );
  });

  it('of an interval stand on a grid', () => {
    const timing = timingOf({ everySeconds: 90 });
    expect(nextFireTime(timing, ANCHOR)).toEqual(new Date('2026-01-01T00:01:30Z'));
    expect(nextFireTime(timing, new Date('2026-01-01T00:01:30Z'))).toEqual(
      new Date('2026-01-01T00:03:00Z'),
    );
    expect(nextFireTime(timing, new Date('2025-01-01T00:00:00Z'))).toEqual(
      new Date('2026-01-01T00:01:30Z'),
    );
    const range = { from: ANCHOR, to: new Date('2026-01-01T00:04:31Z') };
    expect(newestFireTimes(timing, range, 2)).toEqual([
      new Date('2026-01-01T00:03:00Z'),
      new Date('2026-01-01T00:04:30Z'),
    ]);
    expect(newestFireTimes(timing, range, 9)).toHaveLength(3);
  });

  it('stay between start and end: the start counts, the end does not', () => {
    const startsAt = new Date('2026-01-01T01:00:00Z');
    const endsAt = new Date('2026-01-01T01:02:00Z');
    for (const how of [{ cron: '* * * * *' }, { everySeconds: 60, anchorAt: startsAt }]) {
      const timing = timingOf({ ...how, startsAt, endsAt });
      const both = [startsAt, new Date('2026-01-01T01:01:00Z')];
      expect(nextFireTimes(timing, ANCHOR, 9)).toEqual(both);
      const range = { from: ANCHOR, to: new Date('2026-01-02T00:00:00Z') };
      expect(newestFireTimes(timing, range, 9)).toEqual(both);
      expect(nextFireTime(timing, both[1] ?? ANCHOR)).toBeNull();
    }
  });

  it('of one moment come once', () => {
    const at = new Date('2026-02-01T00:00:00Z');
    expect(nextFireTimes(timingOf({ at }), ANCHOR, 5)).toEqual([at]);
    expect(nextFireTime(timingOf({ at }), at)).toBeNull();
  });

  it('end for a day that no month has', () => {
    expect(nextFireTime(timingOf({ cron: '0 0 30 2 *' }), ANCHOR)).toBeNull();
  });
});

describe('jitter', () => {
  it('is the same for a schedule each time, below its maximum, and spread over schedules', () => {
    const all = Array.from({ length: 200 }, (_, i) => jitterMs(`schedule-${String(i)}`, 60));
    expect(all).toEqual(
      Array.from({ length: 200 }, (_, i) => jitterMs(`schedule-${String(i)}`, 60)),
    );
    expect(Math.max(...all)).toBeLessThan(60_000);
    expect(new Set(all.map((ms) => Math.floor(ms / 6_000))).size).toBe(10);
    expect(jitterMs('x', 0)).toBe(0);
  });
});

function timingOf(timing: Partial<Timing>): Timing {
  return {
    cron: null,
    everySeconds: null,
    at: null,
    timezone: 'UTC',
    anchorAt: ANCHOR,
    startsAt: null,
    endsAt: null,
    ...timing,
  };
}

/** "29T03:00+02": day, time and offset without what says nothing. */
function shortLocal(time: Date, timezone: string): string {
  const { local, offset } = toLocalTime(time, timezone);
  return `${local.slice(8, 16)}${offset.replace(/:00$/, '')}`;
}

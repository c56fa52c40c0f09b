import { describe, expect, it } from '@jest/globals';

import { AppError } from '../common/errors.js';
import { readScheduleContent } from './schedule-content.js';
import type { PutScheduleDto } from './schedule.dto.js';

const NOW = new Date('2026-11-20T12:00:00Z');

describe('what is said of a schedule', () => {
  it('has defaults', () => {
    expect(readScheduleContent({ cron: ' 0 9 * * * ' }, NOW)).toEqual({
      cron: '0 9 * * *',
      everySeconds: null,
      at: null,
      timezone: 'UTC',
      anchorAt: NOW,
      startsAt: null,
      endsAt: null,
      overlap: 'skip',
      catchUp: 'none',
      catchUpSeconds: 86_400,
      jitterSeconds: 0,
      input: {},
    });
    expect(readScheduleContent({ at: '2026-11-21T00:00:00+02:00' }, NOW)).toMatchObject({
      at: new Date('2026-11-20T22:00:00Z'),
      catchUp: 'last',
    });
  });

  it('begins the grid of an interval where it starts', () => {
    const body = { every_seconds: 60, starts_at: '2026-12-01T00:00:00Z' };
    expect(readScheduleContent(body, NOW).anchorAt).toEqual(new Date('2026-12-01T00:00:00Z'));
  });

  it.each<[string, PutScheduleDto, string[]]>([
    ['nothing', {}, ['/cron']],
    ['two of three', { cron: '* * * * *', every_seconds: 5 }, ['/cron', '/every_seconds']],
    [
      'three of three',
      { cron: '* * * * *', every_seconds: 5, at: '2027-01-01' },
      ['/cron', '/every_seconds', '/at'],
    ],
    ['four fields', { cron: '* * * *' }, ['/cron']],
    ['seven fields', { cron: '* * * * * * 2030' }, ['/cron']],
    ['a date', { cron: '2030-01-01T00:00:00' }, ['/cron']],
    ['a nickname', { cron: '@daily' }, ['/cron']],
    ['minute 99', { cron: '99 * * * *' }, ['/cron']],
    ['words', { cron: 'a b c d e' }, ['/cron']],
    ['February 30th', { cron: '0 0 30 2 *' }, ['/cron']],
    ['a zone that nobody knows', { cron: '* * * * *', timezone: 'Mars/Olympus' }, ['/timezone']],
    ['an offset as a zone', { cron: '* * * * *', timezone: '+02:00' }, ['/timezone']],
    ['no zone', { cron: '* * * * *', timezone: '' }, ['/timezone']],
    ['a moment that has passed', { at: '2026-11-20T11:59:59Z' }, ['/at']],
    [
      'a window around a moment',
      { at: '2027-01-01', starts_at: '2026-12-01', ends_at: '2027-02-01' },
      ['/starts_at', '/ends_at'],
    ],
    [
      'an end before the start',
      { every_seconds: 5, starts_at: '2027-01-02', ends_at: '2027-01-01' },
      ['/ends_at'],
    ],
    ['an end that has passed', { every_seconds: 5, ends_at: '2026-01-01' }, ['/ends_at']],
    [
      'a window without a time',
      { cron: '0 0 1 1 *', starts_at: '2027-02-01', ends_at: '2027-03-01' },
      ['/cron'],
    ],
    [
      'an interval past the end',
      { every_seconds: 600, ends_at: '2026-11-20T12:05:00Z' },
      ['/every_seconds'],
    ],
    [
      'several things',
      { every_seconds: 5, timezone: 'x', ends_at: '2026-01-01' },
      ['/timezone', '/ends_at'],
    ],
  ])('is refused when it is %s', (_, body, pointers) => {
    expect(problemsOf(body)).toEqual(pointers);
  });
});

function problemsOf(body: PutScheduleDto): string[] {
  try {
    readScheduleContent(body, NOW);
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    for (const { detail } of error.errors ?? []) expect(detail.length).toBeGreaterThan(20);
    return (error.errors ?? []).map(({ pointer }) => pointer);
  }
}

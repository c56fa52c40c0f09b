import { describe, expect, it } from '@jest/globals';

import { readWaitRequest } from './wait-request.js';

describe('a moment that a step waits until', () => {
  const read = (until: string) => readWaitRequest({ kind: 'timer', until });

  it('is told in UTC, whatever offset it had', () => {
    expect(read('2027-01-31T09:00:00+23:00')).toEqual({
      ok: true,
      request: { kind: 'timer', until: '2027-01-30T10:00:00.000Z' },
    });
  });

  it('is over when it is before all that a database can hold', () => {
    const request = { kind: 'timer', until: '1970-01-01T00:00:00.000Z' };
    expect(read('0000-01-01T00:00:00Z')).toEqual({ ok: true, request });
  });

  it('is refused when it comes after that', () => {
    expect(read('9999-12-31T23:59:59-10:00')).toEqual({
      ok: false,
      detail: 'until: must be before the year 10000',
    });
  });
});

import { describe, expect, it } from '@jest/globals';

import { DatabaseAwayError, isConnectionLost, isPassing } from './connection-lost.js';

/** As TypeORM gives what pg threw. */
const failed = (code: string): Error =>
  Object.assign(new Error('a query failed'), { driverError: { code } });

describe('what a failure of the database means', () => {
  it.each(['ECONNREFUSED', 'EAI_AGAIN', '08006', '57P01', '53300', '25006'])(
    '%s: the connection is lost',
    (code) => {
      expect([isConnectionLost(failed(code)), isPassing(failed(code))]).toEqual([true, true]);
    },
  );

  it.each(['57014', '55P03', '53100', '53200', '40001', '58030', '28P01', '3D000'])(
    '%s: it may succeed later, on the same connection or another',
    (code) => {
      expect([isConnectionLost(failed(code)), isPassing(failed(code))]).toEqual([false, true]);
    },
  );

  it.each(['22021', '23505', '54000', '42P01', 'P0001', 'ENOENT'])(
    '%s: it fails as often as it is tried',
    (code) => {
      expect([isConnectionLost(failed(code)), isPassing(failed(code))]).toEqual([false, false]);
    },
  );

  it('tells by their names and words those that have no code', () => {
    const lost = [
      new DatabaseAwayError(),
      new Error('Connection terminated unexpectedly'),
      new Error('timeout exceeded when trying to connect'),
    ];
    expect(lost.map(isConnectionLost)).toEqual([true, true, true]);
    expect(['text', null, new Error('a plan has no steps')].map(isPassing)).toEqual([
      false,
      false,
      false,
    ]);
  });
});

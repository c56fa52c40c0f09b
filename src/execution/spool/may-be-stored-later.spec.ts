import { describe, expect, it } from '@jest/globals';

import { DatabaseAwayError } from '../../common/connection-lost.js';
import { AppError } from '../../common/errors.js';
import { mayBeStoredLater } from './may-be-stored-later.js';

const refused = (code: string): Error =>
  Object.assign(new Error('a query failed'), { driverError: { code } });

describe('mayBeStoredLater', () => {
  it.each([
    '25006',
    '57014',
    '53100',
    '53300',
    '55P03',
    '40001',
    '28P01',
    '42P01',
    '42501',
    'XX000',
  ])('%s is about the database: what was accepted waits', (code) => {
    expect(mayBeStoredLater(refused(code))).toBe(true);
  });

  it.each(['22021', '22P05', '23503', '54001', 'P0001'])('%s is about the run', (code) => {
    expect(mayBeStoredLater(refused(code))).toBe(false);
  });

  it('tries again what was lost or turned away, and gives up on an error of our own', () => {
    const passing = [
      new DatabaseAwayError(),
      new AppError('service.unavailable', 'full'),
      Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
    ];
    expect(passing.map(mayBeStoredLater)).toEqual([true, true, true]);
    const own = [new TypeError('x is not a function'), new AppError('request.invalid', 'no')];
    expect(own.map(mayBeStoredLater)).toEqual([false, false]);
  });
});

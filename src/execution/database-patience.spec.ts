import { describe, expect, it } from '@jest/globals';

import { withPatience } from './database-patience.js';

const refused = (code: string): Error =>
  Object.assign(new Error('a query failed'), { driverError: { code } });

describe('withPatience', () => {
  const clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() };
  const { signal } = new AbortController();
  /** Fails so often, and then gives how often it was tried. */
  const failing = (code: string, times: number): (() => Promise<number>) => {
    let tries = 0;
    return () => (++tries > times ? Promise.resolve(tries) : Promise.reject(refused(code)));
  };

  it.each(['08006', '57P01', '57014', '53100', '55P03', '25006'])(
    'tries again what fails with %s, for as long as it does',
    async (code) => {
      expect(await withPatience(failing(code, 5), { clock, signal })).toBe(6);
    },
  );

  it('has none for what was refused for its content, and none after the signal', async () => {
    await expect(withPatience(failing('22P05', 1), { clock, signal })).rejects.toThrow('a query');
    const aborted = { clock, signal: AbortSignal.abort() };
    await expect(withPatience(failing('57P01', 1), aborted)).rejects.toThrow('a query');
  });
});

import { describe, expect, it } from '@jest/globals';

import { DatabaseAwayError } from './connection-lost.js';
import { LastKnown } from './last-known.js';

const away = (): Promise<never> => Promise.reject(new DatabaseAwayError());
const MINUTE_MS = 60_000;

describe('LastKnown', () => {
  let nowMs = 0;
  const clock = { now: () => nowMs, monotonic: () => nowMs, sleep: () => Promise.resolve() };
  const make = (isOn = true): LastKnown<string> =>
    new LastKnown<string>({ isOn, maxEntries: 2, clock });
  const at = (key: string, mayRecall = true) => ({ key, mayRecall });

  it('asks each time, and tells what it read last only while the database is away', async () => {
    const known = make();
    expect(await known.read(at('a'), () => Promise.resolve('one'))).toMatchObject({ value: 'one' });
    expect(await known.read(at('a'), () => Promise.resolve('two'))).toMatchObject({ value: 'two' });
    expect(await known.read(at('a'), away)).toEqual({ value: 'two', isRecalled: true });
  });

  it('tells nothing to who may not recall, of what it never read, or with the spool off', async () => {
    const known = make();
    await known.read(at('a', false), () => Promise.resolve('one'));
    await expect(known.read(at('a', false), away)).rejects.toThrow(DatabaseAwayError);
    await expect(known.read(at('b'), away)).rejects.toThrow(DatabaseAwayError);
    const off = make(false);
    await off.read(at('a'), () => Promise.resolve('one'));
    await expect(off.read(at('a'), away)).rejects.toThrow(DatabaseAwayError);
  });

  it('tells nothing when the database is there, and too busy to answer; and forgets nothing for it', async () => {
    const known = make();
    await known.read(at('a'), () => Promise.resolve('one'));
    const busy = new Error('timeout exceeded when trying to connect');
    await expect(known.read(at('a'), () => Promise.reject(busy))).rejects.toBe(busy);
    expect((await known.read(at('a'), away)).value).toBe('one');
  });

  it('forgets after ten minutes, when it is gone, and when reading fails for another reason', async () => {
    const known = make();
    nowMs = 0;
    await known.read(at('a'), () => Promise.resolve('one'));
    nowMs = 10 * MINUTE_MS;
    expect((await known.read(at('a'), away)).value).toBe('one');
    nowMs++;
    await expect(known.read(at('a'), away)).rejects.toThrow(DatabaseAwayError);

    await known.read(at('a'), () => Promise.resolve('one'));
    await known.read(at('a'), () => Promise.resolve(null));
    await expect(known.read(at('a'), away)).rejects.toThrow(DatabaseAwayError);

    await known.read(at('a'), () => Promise.resolve('one'));
    await expect(known.read(at('a'), () => Promise.reject(new Error('deleted')))).rejects.toThrow(
      'deleted',
    );
    await expect(known.read(at('a'), away)).rejects.toThrow(DatabaseAwayError);
  });

  it('is pushed out by what was found, never by what was not', async () => {
    const known = make();
    await known.read(at('a'), () => Promise.resolve('one'));
    for (const stranger of ['x', 'y', 'z']) {
      await known.read(at(stranger), () => Promise.resolve(null));
    }
    expect((await known.read(at('a'), away)).value).toBe('one');
  });
});

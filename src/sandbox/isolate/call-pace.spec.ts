import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

import { CallPace, type Beginning } from './call-pace.js';

describe('the pace of calls', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('lets so many calls of an owner begin at once, the others in their order', async () => {
    const { enter, begun } = world(2);
    for (const name of ['a', 'b', 'c', 'd']) enter(name);
    await turn();
    expect([...begun.keys()]).toEqual(['a', 'b']);
    begun.get('a')?.leave();
    begun.get('a')?.leave();
    await turn();
    expect([...begun.keys()]).toEqual(['a', 'b', 'c']);
    begun.get('c')?.leave();
    await turn();
    expect([...begun.keys()]).toEqual(['a', 'b', 'c', 'd']);
  });

  it('does not let owners, or classes of trust, wait for each other', async () => {
    const { enter, begun } = world(1);
    enter('a', 'one');
    enter('b', 'two');
    enter('c', 'one', 'operator');
    await turn();
    expect([...begun.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('waits for no call that is long, once it runs', async () => {
    const { enter, begun } = world(1);
    enter('long');
    enter('next');
    await turn();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(begun.has('next')).toBe(false);
    begun.get('long')?.start();
    await jest.advanceTimersByTimeAsync(19);
    expect(begun.has('next')).toBe(false);
    await jest.advanceTimersByTimeAsync(2);
    expect(begun.has('next')).toBe(true);
    begun.get('long')?.leave();
    enter('third');
    await turn();
    expect(begun.has('third')).toBe(false);
  });

  it('forgets who gave up waiting', async () => {
    const { pace, enter, begun } = world(1);
    enter('a');
    const gone = new AbortController();
    const waiting = pace.enter({ tenantId: 't', trust: 'own_code' }, gone.signal);
    enter('c');
    await turn();
    expect(pace.waitingCount).toBe(2);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    begun.get('a')?.leave();
    await turn();
    expect(begun.has('c')).toBe(true);
    begun.get('c')?.leave();
    await expect(pace.enter({ tenantId: 't', trust: 'own_code' }, gone.signal)).rejects.toThrow(
      'gone',
    );
  });
});

type Trust = Parameters<CallPace['enter']>[0]['trust'];

const turn = async (): Promise<void> => {
  await jest.advanceTimersByTimeAsync(0);
};

function world(atOnce: number): {
  pace: CallPace;
  begun: Map<string, Beginning>;
  enter: (name: string, tenantId?: string, trust?: Trust) => void;
} {
  const pace = new CallPace(atOnce);
  const begun = new Map<string, Beginning>();
  return {
    pace,
    begun,
    enter: (name, tenantId = 't', trust = 'own_code') => {
      void pace.enter({ tenantId, trust }, new AbortController().signal).then((beginning) => {
        begun.set(name, beginning);
      });
    },
  };
}

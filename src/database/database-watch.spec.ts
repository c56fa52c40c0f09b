import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';

import { DatabaseWatch } from './database-watch.js';

const STEP_MS = 50;
/** Of the event loop, so that whoever was woken has gone on. */
const TURNS = 3;

/** What a connection does when it is asked. */
type Answer = 'yes' | 'broken' | 'silent' | { afterMs: number };

describe('DatabaseWatch', () => {
  /** Of each connection that was made: what it has been through. */
  let connections: { asked: number; isCutOff: boolean; hasEnded: boolean }[];
  let answer: (connection: number) => Answer;
  /** How far the clock is ahead of the timers, as in a process that stood still. */
  let behindMs: number;
  let told: string[];
  let watch: DatabaseWatch;

  beforeEach(() => {
    Logger.overrideLogger(false);
    jest.useFakeTimers({ doNotFake: ['performance', 'setImmediate'] });
    jest.spyOn(performance, 'now').mockImplementation(() => Date.now() + behindMs);
    connections = [];
    answer = () => 'yes';
    behindMs = 0;
    told = [];
    watch = new DatabaseWatch(connect);
    watch.onAway(() => told.push('away'));
    watch.onBack(() => told.push('back'));
  });

  afterEach(async () => {
    const stopped = watch.onApplicationShutdown();
    await pass(0);
    await stopped;
    jest.restoreAllMocks();
    jest.useRealTimers();
    Logger.overrideLogger(true);
  });

  const connect = () => {
    const state = { asked: 0, isCutOff: false, hasEnded: false };
    const number = connections.push(state);
    return {
      ask: async (): Promise<void> => {
        state.asked++;
        const how = answer(number);
        if (how === 'yes') return;
        if (how === 'broken') throw new Error('connect ECONNREFUSED');
        await new Promise<void>((resolve) => {
          if (how !== 'silent') setTimeout(resolve, how.afterMs);
        });
      },
      cutOff: () => {
        state.isCutOff = true;
      },
      end: (): Promise<void> => {
        state.hasEnded = true;
        return Promise.resolve();
      },
    };
  };
  const pass = async (ms: number): Promise<void> => {
    const until = Date.now() + ms;
    for (;;) {
      for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
      if (Date.now() >= until) return;
      await jest.advanceTimersByTimeAsync(Math.min(STEP_MS, until - Date.now()));
    }
  };
  const asked = (): number => connections.reduce((sum, one) => sum + one.asked, 0);

  it('asks each second on one connection, and ends it with the host', async () => {
    watch.onModuleInit();
    await pass(5_000);
    expect([connections.length, asked()]).toEqual([1, 6]);
    await Promise.all([watch.onApplicationShutdown(), pass(0)]);
    expect(connections).toEqual([{ asked: 6, isCutOff: false, hasEnded: true }]);
    await pass(5_000);
    expect(asked()).toBe(6);
  });

  it('knows at once that it is refused, asks five times a second, and when it is back', async () => {
    watch.onModuleInit();
    await pass(500);
    answer = () => 'broken';
    await pass(500);
    expect([watch.isAway, told]).toEqual([true, ['away']]);
    expect(() => {
      watch.assertThere();
    }).toThrow('the database is away');
    const before = asked();
    await pass(2_000);
    expect([asked() - before, watch.awaySeconds]).toEqual([10, 2]);
    expect(connections.every(({ isCutOff }) => isCutOff)).toBe(true);
    answer = () => 'yes';
    await pass(200);
    expect([watch.isAway, told, watch.outages]).toEqual([false, ['away', 'back'], 1]);
    await pass(5_000);
    expect(watch.awaySeconds).toBe(2.2);
  });

  it('takes one broken connection for nothing more', async () => {
    watch.onModuleInit();
    await pass(500);
    answer = (connection) => (connection === 1 ? 'broken' : 'yes');
    await pass(3_000);
    expect([watch.isAway, told, connections.length]).toEqual([false, [], 2]);
  });

  it('waits three seconds for an answer, and no longer', async () => {
    watch.onModuleInit();
    answer = () => ({ afterMs: 2_900 });
    await pass(10_000);
    expect(told).toEqual([]);
    answer = () => 'silent';
    await pass(4_000 + 2_900);
    expect([told, connections.at(-2)?.isCutOff]).toEqual([['away'], true]);
  });

  it('does not take it for an outage that this process stood still', async () => {
    answer = () => 'silent';
    watch.onModuleInit();
    behindMs = 2_000;
    await pass(3_000);
    expect(told).toEqual([]);
    await pass(3_000);
    expect(told).toEqual(['away']);
  });

  it('asks at once when somebody doubts, who is told as soon as it is known', async () => {
    watch.onModuleInit();
    await pass(500);
    await expect(watch.confirmAway()).resolves.toBe(false); // nobody doubts: it isn't asked
    expect(asked()).toBe(1);
    answer = () => 'silent';
    watch.doubt();
    let isAway: boolean | null = null;
    const confirmed = watch.confirmAway().then((is) => (isAway = is));
    await pass(2_999);
    expect([asked(), isAway]).toEqual([2, null]);
    await pass(1);
    await confirmed;
    expect(isAway).toBe(true);
    answer = () => 'yes';
    await pass(200);
    watch.doubt();
    const calm = watch.confirmAway();
    await pass(0);
    expect(await calm).toBe(false);
  });

  it('leaves nobody waiting when the host ends, and takes no leave of one that is away', async () => {
    watch.onModuleInit();
    await pass(500);
    answer = () => 'silent';
    watch.doubt();
    const confirmed = watch.confirmAway();
    await Promise.all([watch.onApplicationShutdown(), pass(0)]);
    expect(await confirmed).toBe(false);
    expect(() => {
      watch.doubt();
    }).not.toThrow();

    const other = new DatabaseWatch(connect);
    answer = () => 'broken';
    other.onModuleInit();
    await pass(300);
    await Promise.all([other.onApplicationShutdown(), pass(0)]);
    expect(connections.slice(1)).toEqual(
      connections.slice(1).map(({ asked: times }) => ({
        ...{ asked: times, isCutOff: true, hasEnded: false },
      })),
    );
  });
});

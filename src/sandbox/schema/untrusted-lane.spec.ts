import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { JsonObject } from '../../common/json.js';
import { LaneUnavailable, TaskCut } from './schema-thread.js';
import { UntrustedLane } from './untrusted-lane.js';
import type { LaneTurn, UntrustedLaneOptions } from './untrusted-lane.js';

/** In place of the real thread: each value says what checking it costs. */
const THREAD = `
  const kept = [];
  export default ({ type, value }) => {
    if (type !== 'validate') return { type: 'done' };
    const { sleepMs = 0, spinMs = 0, keepMb = 0 } = value;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, sleepMs);
    const until = performance.now() + spinMs;
    while (performance.now() < until);
    for (let i = 0; i < keepMb; i++) kept.push(Array.from({ length: 131072 }, () => 0.5));
    return { type: 'verdict', verdict: { ok: true, value } };
  };`;

let directory = '';
const open: UntrustedLane[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stepwell-lane-'));
  await writeFile(join(directory, 'thread.mjs'), THREAD);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((lane) => lane.close()));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

function makeLane(options: Partial<UntrustedLaneOptions> = {}): UntrustedLane {
  const lane = new UntrustedLane({
    workerFile: join(directory, 'thread.mjs'),
    cpuMs: 250,
    wallMs: 5_000,
    maxWaitingPerTenant: 100,
    ...options,
  });
  open.push(lane);
  return lane;
}

function check(lane: UntrustedLane, turn: LaneTurn, value: JsonObject): Promise<string> {
  return lane.run(turn, async (runTask) => {
    const { type } = await runTask({ type: 'validate', key: 'k', value, applyDefaults: false });
    return type;
  });
}

describe('UntrustedLane', () => {
  it('lets a tenant wait for one turn of another, not for all of them', async () => {
    const lane = makeLane();
    const done: string[] = [];
    const ask = async (tenantId: string): Promise<void> => {
      await check(lane, { tenantId }, { spinMs: 20 });
      done.push(tenantId);
    };
    const flood = Array.from({ length: 30 }, () => ask('loud'));
    await Promise.all([...flood, ask('quiet')]);
    expect(done.indexOf('quiet')).toBeLessThan(3);
    expect(done).toHaveLength(31);
  });

  it('refuses what would wait behind too many of the same tenant', async () => {
    const lane = makeLane({ maxWaitingPerTenant: 3 });
    const asked = Array.from({ length: 6 }, () => check(lane, { tenantId: 'a' }, {}));
    const other = check(lane, { tenantId: 'b' }, {});
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'],
      ...['rejected', 'rejected'],
    ]);
    expect(outcomes[5]).toMatchObject({ reason: expect.any(LaneUnavailable) });
    expect(await other).toBe('verdict');
  });

  it('forgets a turn that is given up while it waits', async () => {
    const lane = makeLane({ maxWaitingPerTenant: 1 });
    const running = check(lane, { tenantId: 'a' }, { spinMs: 50 });
    const giveUp = new AbortController();
    let hasRun = false;
    const waiting = lane.run({ tenantId: 'a', signal: giveUp.signal }, () => {
      hasRun = true;
      return Promise.resolve();
    });
    giveUp.abort();
    await expect(waiting).rejects.toBeInstanceOf(LaneUnavailable);
    // Its place is free again at once.
    expect(await check(lane, { tenantId: 'a' }, {})).toBe('verdict');
    expect(await running).toBe('verdict');
    expect(hasRun).toBe(false);
    await expect(
      check(lane, { tenantId: 'a', signal: AbortSignal.abort() }, {}),
    ).rejects.toBeInstanceOf(LaneUnavailable);
  });

  it('counts CPU time: a task that only gets no time is not cut', async () => {
    const lane = makeLane({ cpuMs: 100 });
    expect(await check(lane, { tenantId: 'a' }, { sleepMs: 1_000 })).toBe('verdict');
    await expect(check(lane, { tenantId: 'a' }, { spinMs: 60_000 })).rejects.toMatchObject({
      name: 'TaskCut',
      of: 'cpu',
    });
    expect(await check(lane, { tenantId: 'a' }, {})).toBe('verdict');
  }, 30_000);

  it('ends a task that never comes back, without blaming it', async () => {
    const lane = makeLane({ wallMs: 200 });
    await expect(check(lane, { tenantId: 'a' }, { sleepMs: 60_000 })).rejects.toBeInstanceOf(
      LaneUnavailable,
    );
    expect(await check(lane, { tenantId: 'a' }, {})).toBe('verdict');
  }, 30_000);

  it('blames no one for memory that others have left in the thread', async () => {
    const lane = makeLane({ cpuMs: 10_000 });
    expect(await check(lane, { tenantId: 'a' }, { keepMb: 90 })).toBe('verdict');
    expect(await check(lane, { tenantId: 'b' }, { keepMb: 70 })).toBe('verdict');
    await expect(check(lane, { tenantId: 'c' }, { keepMb: 500 })).rejects.toBeInstanceOf(TaskCut);
  }, 30_000);

  it('refuses those who wait when it is closed', async () => {
    const lane = makeLane();
    const asked = ['a', 'b'].map((tenantId) => check(lane, { tenantId }, { spinMs: 60_000 }));
    const refused = Promise.all(asked.map((one) => expect(one).rejects.toThrow()));
    await lane.close();
    await refused;
    await expect(check(lane, { tenantId: 'a' }, {})).rejects.toThrow(/closed/);
  });
});

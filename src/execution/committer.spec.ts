import { describe, expect, it } from '@jest/globals';

import type { Clock } from '../common/clock.js';
import { Committer, CommitterLimits, type Flush } from './committer.js';
import type { RunWrite, Written } from './sql/flush-runs.js';

/** A database by hand: each flush stays open until the test answers it. */
class Flushes {
  readonly open: { texts: string[]; answer: (state?: Written['state']) => void; fail: Fail }[] = [];
  readonly sizes: number[] = [];

  readonly flush: Flush = (writes) =>
    new Promise((resolve, reject) => {
      this.sizes.push(writes.length);
      const texts = writes.map(({ text }) => text);
      this.open.push({
        texts,
        answer: (state = 'written') => {
          resolve(texts.map((text) => writtenAs(text, state)));
        },
        fail: reject,
      });
    });

  /** The next flush, as soon as it is there. */
  async next(): Promise<Flushes['open'][number]> {
    for (let turn = 0; turn < 20; turn++) {
      const flush = this.open.shift();
      if (flush) return flush;
      await new Promise(setImmediate);
    }
    throw new Error('there is no flush');
  }
}

type Fail = (error: unknown) => void;

function writtenAs(executionId: string, state: Written['state']): Written {
  return { state, executionId, requestHash: null, startedAt: null };
}

function write(executionId: string, more: Partial<RunWrite> = {}): RunWrite {
  return { kind: 'write', executionId, entries: 1, encode: () => executionId, ...more };
}

function refused(code: string): Error {
  return Object.assign(new Error(code), { driverError: { code } });
}

function setUp(limits: Partial<CommitterLimits> = {}, clock?: Clock) {
  const flushes = new Flushes();
  const all = Object.assign(new CommitterLimits(), { lanes: 1, ...limits });
  return { flushes, committer: new Committer(flushes.flush, all, clock) };
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `r${String(i)}`);

describe('the committer', () => {
  it('sends a lone write at once, and then all that came meanwhile together', async () => {
    const { flushes, committer } = setUp();
    const first = committer.commit(write('first'));
    const lone = await flushes.next();
    const rest = ids(300).map((id) => committer.commit(write(id)));
    lone.answer();
    await first;
    const together = await flushes.next();
    together.answer();
    expect((await Promise.all(rest)).map(({ executionId }) => executionId)).toEqual(ids(300));
    expect(flushes.sizes).toEqual([1, 300]);
  });

  it('bounds a flush by rows and by bytes, and still sends what is larger than that', async () => {
    const { flushes, committer } = setUp({ maxRows: 4, maxBytes: 100 });
    const long = 'x'.repeat(99);
    const all = [
      ...ids(4).map((id) => committer.commit(write(id))), // two rows each
      committer.commit(write('many', { entries: 50 })),
      committer.commit(write('a', { encode: () => long })),
      committer.commit(write('b', { encode: () => long })),
      committer.commit(write('c', { encode: () => long.repeat(5) })),
    ];
    for (let flush = 0; flush < 6; flush++) (await flushes.next()).answer();
    await Promise.all(all);
    expect(flushes.sizes).toEqual([2, 2, 1, 1, 1, 1]);
  });

  it('uses its lanes at the same time, and never for two writes of one run', async () => {
    const { flushes, committer } = setUp({ lanes: 2, moreLanesFrom: 1 });
    const one = committer.commit(write('one', { encode: () => 'one#1' }));
    const early = await flushes.next();
    const again = committer.commit(write('one', { encode: () => 'one#2' }));
    const other = committer.commit(write('other'));
    const second = await flushes.next();
    expect(second.texts).toEqual(['other']);
    second.answer();
    await other;
    expect(flushes.sizes).toEqual([1, 1]);
    early.answer();
    await one;
    const late = await flushes.next();
    expect(late.texts).toEqual(['one#2']);
    late.answer();
    await again;
  });

  it('keeps a few writes for the next flush of a lane at work, and opens another one for many', async () => {
    const { flushes, committer } = setUp({ lanes: 2, moreLanesFrom: 3 });
    const first = committer.commit(write('first'));
    const early = await flushes.next();
    const few = ids(2).map((id) => committer.commit(write(id)));
    early.answer();
    await first;
    const gathered = await flushes.next();
    expect(gathered.texts).toHaveLength(2);
    const many = ['a', 'b', 'c'].map((id) => committer.commit(write(id)));
    const beside = await flushes.next();
    expect(beside.texts).toEqual(['a', 'b', 'c']);
    beside.answer();
    gathered.answer();
    await Promise.all([...few, ...many]);
  });

  it('finds the one that is refused, and stores its neighbours', async () => {
    const { flushes, committer } = setUp();
    const answers = Promise.allSettled(ids(64).map((id) => committer.commit(write(id))));
    let sent = 0;
    for (let settled = 0; settled < 64; sent++) {
      const { texts, answer, fail } = await flushes.next();
      if (!texts.includes('r41')) answer();
      else fail(refused('22003'));
      if (!texts.includes('r41') || texts.length === 1) settled += texts.length;
    }
    const failed = (await answers).flatMap((one, index) =>
      one.status === 'rejected' ? index : [],
    );
    expect(failed).toEqual([41]);
    expect(sent).toBe(1 + 2 * Math.log2(64));
  });

  it('tells everybody of a flush whose connection is lost, and looks for no culprit', async () => {
    const { flushes, committer } = setUp();
    const answers = Promise.allSettled(ids(8).map((id) => committer.commit(write(id))));
    const lost = new Error('Connection terminated unexpectedly');
    (await flushes.next()).fail(lost);
    expect((await answers).map((one) => one.status === 'rejected' && one.reason)).toEqual(
      ids(8).map(() => lost),
    );
    expect(flushes.sizes).toEqual([8]);
  });

  it('begins a flush anew that lost a deadlock, a few times', async () => {
    const { flushes, committer } = setUp();
    const fine = committer.commit(write('fine'));
    (await flushes.next()).fail(refused('40P01'));
    (await flushes.next()).answer();
    await expect(fine).resolves.toMatchObject({ state: 'written' });
    const never = expect(committer.commit(write('never'))).rejects.toThrow('40P01');
    for (let tries = 0; tries < 5; tries++) (await flushes.next()).fail(refused('40P01'));
    await never;
  });

  it('asks again for a run that somebody holds, and gives up in the end', async () => {
    let now = 0;
    const clock: Clock = {
      now: () => now,
      monotonic: () => now,
      sleep: () => {
        now += 6_000;
        return Promise.resolve();
      },
    };
    const { flushes, committer } = setUp({}, clock);
    const held = committer.commit(write('held'));
    (await flushes.next()).answer('busy');
    (await flushes.next()).answer();
    await expect(held).resolves.toMatchObject({ state: 'written' });
    const stuck = expect(committer.commit(write('stuck'))).rejects.toThrow(/locked/);
    for (let tries = 0; tries < 4; tries++) (await flushes.next()).answer('busy');
    await stuck;
  });

  it('lets nobody wait for ever while the database is away', async () => {
    let now = 0;
    const clock = { now: () => now, monotonic: () => now, sleep: () => Promise.resolve() };
    const { flushes, committer } = setUp({ maxRows: 2 }, clock);
    const lost = new Error('Connection terminated unexpectedly');
    const sent = expect(committer.commit(write('sent'))).rejects.toBe(lost);
    const old = expect(committer.commit(write('old'))).rejects.toBe(lost);
    const flush = await flushes.next();
    now = 16_000;
    const young = committer.commit(write('young'));
    flush.fail(lost);
    await Promise.all([sent, old]);
    (await flushes.next()).answer();
    await expect(young).resolves.toMatchObject({ executionId: 'young' });
  });

  it('turns new runs away when too many wait, and never what a lease writes', async () => {
    const { flushes, committer } = setUp({ maxWaitingAccepts: 2 });
    const accepts = ids(2).map((id) => committer.commit(write(id, { kind: 'accept' })));
    await expect(committer.commit(write('third', { kind: 'accept' }))).rejects.toMatchObject({
      code: 'service.unavailable',
    });
    const step = committer.commit(write('step'));
    (await flushes.next()).answer();
    await Promise.all([...accepts, step]);
    const next = committer.commit(write('next', { kind: 'accept' }));
    (await flushes.next()).answer();
    await next;
  });

  it('fails the one that can not be written down, and sends the others', async () => {
    const { flushes, committer } = setUp();
    const broken = committer.commit(
      write('broken', {
        encode: () => {
          throw new TypeError('no JSON');
        },
      }),
    );
    const fine = committer.commit(write('fine'));
    const refusal = expect(broken).rejects.toThrow('no JSON');
    (await flushes.next()).answer();
    await refusal;
    await fine;
    expect(flushes.sizes).toEqual([1]);
  });
});

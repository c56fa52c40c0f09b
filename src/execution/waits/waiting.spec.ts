import { describe, expect, it } from '@jest/globals';

import { stepFailed, stepSucceeded } from '../../common/provider-result.js';
import type { JournalEntry } from '../run-store.js';
import { entry, setUp, walk } from '../run-walker.fake.js';

const callback = () => ({ isWait: true, results: [stepSucceeded({ kind: 'callback' })] });
const step = (id: string, dependsOn: string[] = []) => ({
  ...{ id, provider: 'p', action: 'a' },
  depends_on: dependsOn,
});

/** A step that waited when its host let go of it. */
function waiting(stepId: string, wait: Extract<JournalEntry, { status: 'waiting' }>['wait']) {
  return { ...entry(stepId, 1, { status: 'started' }), status: 'waiting', wait } as JournalEntry;
}

describe('a step that waits', () => {
  it('is let go of, with its wait in the journal, and what comes after it is not run', async () => {
    const fake = setUp({ a: { results: [] }, hold: callback(), b: { results: [] } });
    await walk(fake);
    expect(fake.happened).toEqual([
      'run:a#1',
      'run:hold#1',
      'write a=success hold=waiting',
      'rest',
    ]);
    expect(fake.store.restedFor).toEqual({ retryInMs: null });
    expect(fake.store.outcome).toBeNull();
  });

  it('goes on with what came from outside, and asks for nothing anew', async () => {
    const fake = setUp({ hold: callback(), b: { results: [] } }, [
      waiting('hold', { kind: 'callback' }),
    ]);
    fake.store.waits.set('hold#0', {
      ...{ status: 'resolved', payload: { paid: true }, endedAt: new Date(5_000) },
    });
    await walk(fake);
    expect(fake.happened).toEqual(['run:b#1', 'finish:success hold=success b=success']);
    const ended = fake.store.journal.find(({ stepId }) => stepId === 'hold');
    expect(ended).toMatchObject({
      attempt: 1,
      result: { output: { payload: { paid: true }, resumed_at: '1970-01-01T00:00:05.000Z' } },
    });
  });

  it('need not wait for what has happened before it came there', async () => {
    const fake = setUp({ hold: callback() });
    fake.store.waits.set('hold#0', { status: 'resolved', payload: 1, endedAt: new Date(0) });
    await walk(fake);
    expect(fake.happened).toEqual([
      'run:hold#1',
      'write hold=waiting',
      'finish:success hold=success',
    ]);
  });

  it('is kept in memory for a short time, and let go of for a long one', async () => {
    const timer = { isWait: true, results: [stepSucceeded({ kind: 'timer', seconds: 2 })] };
    const short = setUp({ hold: timer });
    short.store.waits.set('hold#0', { dueInMs: 2_000 });
    short.onSleep = () =>
      short.store.waits.set('hold#0', { status: 'elapsed', endedAt: new Date(0) });
    await walk(short);
    expect(short.slept).toEqual([2_000]);
    expect(short.store.outcome?.status).toBe('success');

    const long = setUp({
      hold: { ...timer, results: [stepSucceeded({ kind: 'timer', seconds: 20 })] },
    });
    long.store.waits.set('hold#0', { dueInMs: 20_000 });
    await walk(long);
    expect(long.happened.at(-1)).toBe('rest');
  });

  it('fails when nobody answers in time', async () => {
    const fake = setUp({ hold: callback() }, [
      waiting('hold', { kind: 'callback', timeoutSeconds: 9 }),
    ]);
    fake.store.waits.set('hold#0', { status: 'elapsed', endedAt: new Date(0) });
    await walk(fake);
    expect(fake.store.outcome).toMatchObject({
      error: { code: 'wait.timed_out', message: 'nothing came within 9 s' },
    });
  });

  it('fails when what it asks for is no wait', async () => {
    const bad = { isWait: true, results: [stepSucceeded({ kind: 'timer', seconds: -1 })] };
    const fake = setUp({ hold: bad });
    await walk(fake);
    expect(fake.store.outcome).toMatchObject({ error: { code: 'input.invalid' } });
    expect(fake.happened).toEqual(['run:hold#1', 'finish:error hold=error']);
  });

  it('waits anew when its execution had ended meanwhile and was taken up again', async () => {
    const fake = setUp({ hold: callback() }, [waiting('hold', { kind: 'callback' })]);
    fake.store.waits.set('hold#0', { status: 'cancelled', attempt: 1 });
    fake.onRun = () => {
      fake.store.waits.delete('hold#0');
      return null;
    };
    await walk(fake);
    expect(fake.happened).toEqual(['run:hold#2', 'write hold=waiting', 'rest']);
  });
});

describe('a run that waits', () => {
  const settled = (fake: ReturnType<typeof setUp>) =>
    fake.store.journal.map(({ stepId, status }) => `${stepId}=${status}`);

  it('walks what else there is before it rests', async () => {
    const fake = setUp(
      { hold: callback(), a: { results: [] }, b: { results: [] }, c: { results: [] } },
      [],
      [step('hold'), step('a'), step('b', ['a']), step('c', ['b', 'hold'])],
    );
    await walk(fake);
    expect(settled(fake)).toEqual(['hold=waiting', 'a=success', 'b=success']);
    expect(fake.happened.at(-1)).toMatch(/^rest/);
  });

  it('rests when all else waits for a retry that is far off, until that is due', async () => {
    const later = stepFailed('provider.rate_limited', 'slow', {
      details: { retry_after_ms: 60_000 },
    });
    const fake = setUp(
      { hold: callback(), a: { effects: 'read', results: [later] } },
      [],
      [step('hold'), step('a')],
    );
    await walk(fake);
    expect(fake.store.restedFor?.retryInMs).toBeGreaterThan(59_000);
  });

  it('counts a retry on from when it was decided', async () => {
    const result = stepFailed('provider.rate_limited', 'slow', {
      metadata: { next_attempt_in_ms: 30_000 },
    });
    const before = entry('a', 1, { status: 'error', result });
    const fake = setUp({ a: { effects: 'read', results: [] } }, [before]);
    await walk(fake);
    // Its clock stands still at the time of that failure.
    expect(fake.happened).toEqual(['rest']);
    expect(fake.store.restedFor).toEqual({ retryInMs: 30_000 });
  });

  it('does not rest before a replay whose answers it alone remembers', async () => {
    const crashed = stepFailed('plugin.crashed', 'gone');
    const fake = setUp(
      { a: { effects: 'write', posts: true, results: [crashed, stepSucceeded('done')] } },
      [],
      [{ ...step('a'), retry: { backoff_ms: 300_000, max_backoff_ms: 300_000 } }],
    );
    await walk(fake);
    expect(fake.happened.slice(-2)).toEqual(['replay:a#2', 'finish:success a=success']);
  });

  it('ends its waits when another step fails', async () => {
    const fail = { results: [stepFailed('input.invalid', 'no')] };
    const fake = setUp({ hold: callback(), bad: fail }, [], [step('hold'), step('bad')]);
    await walk(fake);
    expect(fake.store.outcome).toMatchObject({ error: { code: 'input.invalid' } });
    expect(fake.store.stored().find(({ stepId }) => stepId === 'hold')).toMatchObject({
      result: { error: { code: 'step.cancelled' } },
    });
  });

  it('takes as many items at once as its for_each allows, and rests with them', async () => {
    const fake = setUp(
      {
        hold: {
          isWait: true,
          results: Array.from({ length: 3 }, () => stepSucceeded({ kind: 'callback' })),
        },
      },
      [],
      [{ ...step('hold'), for_each: { items: [1, 2, 3], concurrency: 2 } }],
    );
    await walk(fake);
    const waits = fake.store.stored().filter(({ status }) => status === 'waiting');
    expect(waits.map(({ iteration }) => iteration)).toEqual([0, 1]);
    expect(fake.happened.at(-1)).toBe('rest');
  });

  it('goes on with the items that are done, and begins those that had no room', async () => {
    const one = () => stepSucceeded({ kind: 'callback' });
    const fake = setUp(
      { hold: { isWait: true, results: [one(), one(), one()] } },
      [],
      [{ ...step('hold'), for_each: { items: [1, 2, 3], concurrency: 2 } }],
    );
    await walk(fake);
    const next = setUp({ hold: { isWait: true, results: [one()] } }, fake.store.stored(), [
      { ...step('hold'), for_each: { items: [1, 2, 3], concurrency: 2 } },
    ]);
    next.store.waits.set('hold#0', { status: 'resolved', payload: 'x', endedAt: new Date(0) });
    await walk(next);
    const states = next.store
      .stored(next.run.journal)
      .map((e) => `${String(e.iteration)}=${e.status}`);
    expect(states.sort()).toEqual(['-1=started', '0=success', '1=waiting', '2=waiting']);
    expect(next.happened.at(-1)).toMatch(/^rest/);
  });
});

it('tells of a for_each how long it took, over all walks', async () => {
  const each = { ...step('hold'), for_each: { items: [1] } };
  const whole = entry('hold', 1, { status: 'started' }, { iteration: -1, input: { total: 1 } });
  const begun = { ...whole, startedAt: new Date(-60_000) };
  const fake = setUp({ hold: callback() }, [begun, waiting('hold', { kind: 'callback' })], [each]);
  fake.store.waits.set('hold#0', { status: 'resolved', payload: 'x', endedAt: new Date(0) });
  await walk(fake);
  const end = fake.store.journal.find(({ iteration }) => iteration === -1);
  expect(end).toMatchObject({ status: 'success', latencyMs: 60_000 });
});

describe('a step that runs another plan', () => {
  const planId = '018f0000-0000-7000-8000-000000000001';
  const runs = () => ({
    isWait: true,
    results: [stepSucceeded({ kind: 'plan', planId, input: { n: 1 } })],
  });

  const ended = (id: string) => ({
    ...{ id, status: 'success' as const, output: null, outputBlob: null, error: null },
  });

  it('starts it after its wait is durable, and waits a while before it is let go of', async () => {
    const fake = setUp({ sub: runs() });
    await walk(fake);
    const [, write, start, rest] = fake.happened;
    expect([write, start?.slice(0, 6), rest]).toEqual(['write sub=waiting', 'start:', 'rest']);
    expect(fake.slept.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(5_000);
  });

  it('gives what that execution gave, or how it failed', async () => {
    const childId = '018f0000-0000-7000-8000-000000000002';
    const before = waiting('sub', { kind: 'plan', planId, childId });
    const done = setUp({ sub: runs() }, [before]);
    const child = { ...ended(childId), output: 42 };
    done.store.waits.set('sub#0', { status: 'resolved', child });
    await walk(done);
    expect(done.store.outcome).toEqual({
      status: 'success',
      output: { execution_id: childId, output: 42 },
    });

    const failed = setUp({ sub: runs() }, [before]);
    const error = { code: 'input.invalid' as const, message: 'no', retryable: false };
    failed.store.waits.set('sub#0', { child: { ...child, status: 'error', error } });
    await walk(failed);
    expect(failed.store.outcome).toMatchObject({
      error: { code: 'sub_plan.failed', details: { execution_id: childId, code: 'input.invalid' } },
    });
  });

  it('has no other begun in its place, whatever its earlier attempts failed of', async () => {
    const childId = '018f0000-0000-7000-8000-000000000003';
    const cancelled = stepFailed('step.cancelled', 'ended with its run', {
      metadata: { wait: { kind: 'plan', planId, childId } },
    });
    const unasked = stepFailed('plugin.not_enabled', 'not now');
    const fake = setUp({ sub: runs() }, [
      entry('sub', 1, { status: 'error', result: cancelled }),
      entry('sub', 2, { status: 'error', result: unasked }),
    ]);
    fake.run.forgiven = { 'sub#0': 2 };
    await walk(fake);
    expect(fake.happened).toContain(`start:${childId}`);
  });

  it('takes large outputs one by one, however many have ended at once', async () => {
    const each = { ...step('sub'), for_each: { items: [1, 2, 3], concurrency: 3 } };
    const begun = {
      ...entry('sub', 1, { status: 'started' }, { iteration: -1, input: { total: 3 } }),
    };
    const before = [0, 1, 2].map((iteration) => ({
      ...waiting('sub', { kind: 'plan', planId, childId: `child-${String(iteration)}` }),
      iteration,
    }));
    const fake = setUp({ sub: runs() }, [begun, ...before], [each]);
    for (const i of [0, 1, 2]) {
      const child = { ...ended(`child-${String(i)}`), outputBlob: `blob-${String(i)}` };
      fake.store.waits.set(`sub#${String(i)}`, { status: 'resolved', child });
    }
    await walk(fake);
    const [begin, last] = [fake.happened.indexOf('read:child-0'), 'given:child-2'];
    expect(fake.happened.slice(begin, fake.happened.indexOf(last) + 1)).toEqual(
      [0, 1, 2].flatMap((i) => [`read:child-${String(i)}`, `given:child-${String(i)}`]),
    );
    expect(fake.store.outcome).toMatchObject({
      status: 'success',
      output: [0, 1, 2].map((i) => ({
        execution_id: `child-${String(i)}`,
        output: `output of child-${String(i)}`,
      })),
    });
  });
});

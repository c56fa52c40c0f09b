import { describe, expect, it } from '@jest/globals';

import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import { entry, setUp, walk, type FakeRun } from './run-walker.fake.js';

const busy = (): ProviderResult => stepFailed('provider.unavailable', 'busy');

/** Walks a run that somebody pauses when `at` says so. */
async function walkAndPause(
  made: FakeRun,
  at: (call: { stepId: string; iteration: number }) => boolean,
): Promise<void> {
  const pause = new AbortController();
  made.onRun = (stepId, { iteration }) => {
    if (at({ stepId, iteration })) pause.abort();
    return null;
  };
  await walk(made, { pausing: pause.signal });
}

describe('a run that is paused', () => {
  it('begins nothing when that came before its first step', async () => {
    const made = setUp({ a: { results: [] } });
    await walk(made, { pausing: AbortSignal.abort() });
    expect(made.happened).toEqual(['suspend']);
    expect(made.store.outcome).toBeNull();
  });

  it('lets the running step end, and rests with its result', async () => {
    const made = setUp({ a: { results: [] }, b: { results: [] } });
    await walkAndPause(made, () => true);
    expect(made.happened).toEqual(['run:a#1', 'suspend a=success']);
    const resumed = setUp({ b: { results: [] } }, made.store.stored(), made.run.definition.steps);
    await walk(resumed);
    expect(resumed.happened).toEqual(['run:b#1', 'finish:success b=success']);
  });

  it('finishes when its last step was the one that ran', async () => {
    const made = setUp({ a: { results: [] } });
    await walkAndPause(made, () => true);
    expect(made.happened).toEqual(['run:a#1', 'finish:success a=success']);
    expect(made.store.isSuspended).toBe(false);
  });

  it('begins no attempt, and stops resting for one', async () => {
    const made = setUp({ a: { effects: 'read', results: [busy()] } });
    await walkAndPause(made, () => true);
    expect(made.happened).toEqual(['run:a#1', 'write a=error', 'suspend']);
    const resting = setUp({ a: { effects: 'read', results: [busy()] } });
    const pause = new AbortController();
    resting.onSleep = () => {
      pause.abort();
    };
    await walk(resting, { pausing: pause.signal });
    expect(resting.happened).toEqual(['run:a#1', 'write a=error', 'suspend']);
    const resumed = setUp(
      { a: { effects: 'read', results: [] } },
      resting.store.stored(),
      resting.run.definition.steps,
    );
    await walk(resumed);
    expect(resumed.happened).toEqual(['run:a#2', 'finish:success a=success']);
  });

  it('rests with a failure beside it that will end it', async () => {
    const steps = ['a', 'b'].map((id) => ({ id, provider: 'p', action: 'a', depends_on: [] }));
    const made = setUp(
      {
        a: { results: [stepFailed('plugin.threw', 'no')] },
        b: { effects: 'read', results: [busy()] },
      },
      [],
      steps,
    );
    const pause = new AbortController();
    made.onSleep = () => {
      pause.abort();
    };
    await walk(made, { pausing: pause.signal });
    expect(made.happened.at(-1)).toMatch(/^suspend/);
    expect(made.store.outcome).toBeNull();
  });

  it('tells what it found when it was taken up', async () => {
    const made = setUp({ a: { effects: 'write', results: [] }, b: { results: [] } }, [
      entry('a', 1, { status: 'started' }),
    ]);
    await walk(made, { pausing: AbortSignal.abort() });
    // The unknown outcome ends it anyway: nothing is left to be paused.
    expect(made.happened).toEqual(['finish:error a=error']);
  });

  it('begins no further item, and goes on with the rest of the list', async () => {
    const steps = [{ id: 'each', provider: 'p', action: 'a', for_each: '${input}' }];
    const made = setUp({ each: { effects: 'write', results: [] } }, [], [...steps]);
    made.run.input = [1, 2, 3, 4, 5, 6];
    made.run.definition.steps[0]!.for_each = { items: '${input}', concurrency: 2 };
    await walkAndPause(made, ({ iteration }) => iteration === 2);
    const ran = made.calls.map(({ iteration }) => iteration);
    expect(ran.length).toBeLessThan(6);
    expect(made.store.isSuspended).toBe(true);
    const resumed = setUp(
      { each: { effects: 'write', results: [] } },
      made.store.stored(),
      made.run.definition.steps,
    );
    resumed.run.input = made.run.input;
    await walk(resumed);
    const all = [...ran, ...resumed.calls.map(({ iteration }) => iteration)];
    expect(all.sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(resumed.store.outcome).toMatchObject({ status: 'success' });
  });

  it('ends like any other when its lease is lost', async () => {
    const made = setUp({ a: { results: [] }, b: { results: [] } });
    const [stop, pause] = [new AbortController(), new AbortController()];
    made.onRun = () => {
      pause.abort();
      stop.abort();
      return stepFailed('step.cancelled', 'killed');
    };
    await walk(made, { signal: stop.signal, pausing: pause.signal });
    expect(made.store.isSuspended).toBe(false);
    expect(made.happened).toEqual(['run:a#1']);
  });
});

import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../common/json.js';
import { stepFailed, stepSucceeded } from '../common/provider-result.js';
import { busy, loop, range, refused, runs, takeOver } from './for-each.fake.js';
import { WHOLE_STEP } from './run-store.js';
import { entry, setUp, walk, type FakeRun } from './run-walker.fake.js';

const numbered = ({ input }: { input: JsonValue }): JsonValue => (input as { it: JsonValue }).it;

describe('a for_each that is taken over', () => {
  /** Stops like a killed host: after some items, with what was durable then. */
  async function killAt(made: FakeRun, iteration: number): Promise<void> {
    const kill = new AbortController();
    made.onRun = (_, call) => {
      if (call.iteration < iteration) return null;
      kill.abort();
      return stepFailed('step.cancelled', 'killed');
    };
    await walk(made, { signal: kill.signal });
  }

  it('skips the items that have their result, and finds the same ones in the same places', async () => {
    const list = { id: 'list', provider: 'p', action: 'a' };
    const before = loop('${steps.list.output.items ?? input.other}', {
      concurrency: 1,
      script: { effects: 'read' },
      before: [list],
    });
    const items = range(6).map((id) => ({ id, name: `n${String(id)}` }));
    const kill = new AbortController();
    before.onRun = (stepId, { iteration }) => {
      if (stepId === 'list') return stepSucceeded({ items, more: true });
      if (iteration < 4) return null;
      kill.abort();
      return stepFailed('step.cancelled', 'killed');
    };
    await walk(before, { signal: kill.signal });
    expect(before.store.outcome).toBeNull();

    const after = takeOver(before);
    await walk(after);
    expect(runs(after)).toEqual(['run:each[4]#1', 'run:each[5]#1']);
    const seen = [...before.calls, ...after.calls].filter(({ stepId }) => stepId === 'each');
    for (const call of seen) expect(numbered(call)).toEqual(items[call.iteration]);
    const output = range(6).map((index) => `each[${String(index)}] done`);
    expect(after.store.outcome).toEqual({ status: 'success', output });
    // It goes on with the entry that it had begun with.
    expect(after.happened).not.toContain('write each[*]=started');
    expect(after.store.journal.at(-1)).toMatchObject({ iteration: WHOLE_STEP, attempt: 1 });
  });

  it('never sends an intent again: the item is unknown, the others go on if they may', async () => {
    const made = loop(range(4), {
      ...{ concurrency: 1, on_error: 'continue' },
      script: { effects: 'write' },
    });
    await killAt(made, 2);
    const after = takeOver(made, { script: { effects: 'write' } });
    await walk(after);
    expect(runs(after)).toEqual(['run:each[3]#1']);
    const output = ['each[0] done', 'each[1] done', null, 'each[3] done'];
    expect(after.store.outcome).toEqual({ status: 'success', output });
    expect(after.store.journal).toContainEqual(
      expect.objectContaining({
        iteration: 2,
        result: expect.objectContaining({
          error: expect.objectContaining({ code: 'outcome.unknown' }),
        }),
      }),
    );
  });

  it('begins nothing more when an item is unknown and the step stops at failures', async () => {
    const made = loop(range(4), { concurrency: 1, script: { effects: 'write' } });
    await killAt(made, 2);
    const after = takeOver(made, { script: { effects: 'write' } });
    await walk(after);
    expect(after.happened).toEqual(['finish:error each[2]=error each[*]=error']);
    expect(after.store.outcome).toMatchObject({
      error: { code: 'outcome.unknown', details: { index: 2, succeeded: 2, total: 4 } },
    });
  });

  it('begins nothing more when an item had failed for good, whatever its place', async () => {
    const made = loop(range(4), {
      script: { effects: 'read' },
      journal: [
        entry('each', 1, { status: 'started' }, { iteration: WHOLE_STEP, input: { total: 4 } }),
        entry('each', 1, { status: 'error', result: refused() }, { iteration: 3 }),
      ],
    });
    await walk(made);
    expect(made.happened).toEqual(['finish:error each[*]=error']);
    expect(made.store.outcome).toMatchObject({ error: { details: { index: 3 } } });
  });

  it('goes on with the next attempt of an item that waited for it', async () => {
    const waiting = { ...busy(), metadata: { next_attempt_in_ms: 5 } };
    const made = loop(range(2), {
      script: { effects: 'read' },
      journal: [
        entry('each', 1, { status: 'started' }, { iteration: WHOLE_STEP, input: { total: 2 } }),
        entry('each', 1, { status: 'error', result: waiting }, { iteration: 1 }),
      ],
    });
    await walk(made);
    expect(runs(made).sort()).toEqual(['run:each[0]#1', 'run:each[1]#2']);
    expect(made.slept).toHaveLength(1);
  });

  it('has its output again when it had ended', async () => {
    const sum = { id: 'sum', provider: 'p', action: 'a', params: { all: '${steps.each.output}' } };
    const made = loop(range(3), { on_error: 'continue' });
    made.run.definition.steps.push({ ...sum, depends_on: ['each'] });
    made.onRun = (stepId, { iteration }) =>
      stepId === 'each' && iteration === 1 ? refused() : null;
    await walk(made);
    const rows = made.store.stored().filter(({ stepId }) => stepId === 'each');
    const after = setUp({ sum: { results: [] } }, rows, made.run.definition.steps);
    await walk(after);
    expect(after.calls).toEqual([
      expect.objectContaining({ input: { all: ['each[0] done', null, 'each[2] done'] } }),
    ]);
  });

  it('fails when its list is another one than it began with', async () => {
    const made = loop([1, 2], {
      journal: [
        entry('each', 1, { status: 'started' }, { iteration: WHOLE_STEP, input: { total: 3 } }),
      ],
    });
    await walk(made);
    expect(made.happened).toEqual(['finish:error each[*]=error']);
    expect(made.store.outcome).toMatchObject({
      error: { code: 'engine.failed', retryable: false, message: expect.stringMatching(/had 3/) },
    });
  });
});

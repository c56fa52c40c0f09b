import { describe, expect, it } from '@jest/globals';

import { stepSucceeded } from '../../common/provider-result.js';
import type { StepDefinition } from '../../plans/rules/plan-definition.js';
import { entry, setUp, walk, type FakeRun } from '../run-walker.fake.js';
import type { JournalEntry } from '../run-store.js';
import { BlobHandle } from './blob-handle.js';

const step = (id: string, rest: Partial<StepDefinition> = {}): StepDefinition => ({
  ...{ id, provider: 'p', action: 'a', depends_on: [], ...rest },
});

/** What an earlier host wrote of a step whose output is large. */
const stored = (stepId: string, bytes = 100_000): JournalEntry => ({
  ...entry(stepId, 1, { status: 'success', result: stepSucceeded(null) }),
  blobs: { output: new BlobHandle(`blob of ${stepId}`, bytes) },
});

/** A run that another host takes over after `a` and `b` gave large outputs. */
function takenOver(then: StepDefinition, bytes?: number): FakeRun {
  const journal = [stored('a', bytes), stored('b', bytes)];
  const made = setUp({}, journal, [step('a'), step('b'), { ...then, depends_on: ['a', 'b'] }]);
  made.store.blobs.set('blob of a', { n: 7, list: ['x', 'y'] });
  made.store.blobs.set('blob of b', { n: 8 });
  return made;
}

describe('a run that is taken over', () => {
  it('reads no large output that nothing refers to', async () => {
    const made = takenOver(
      step('c', { when: '${steps.a.success} && ${steps.b.status} == "success"' }),
    );
    await walk(made);
    expect(made.calls.map(({ stepId }) => stepId)).toEqual(['c']);
    expect(made.store.reads).toEqual([]);
  });

  it('reads the one that a condition looks at', async () => {
    for (const [n, calls] of [
      [7, ['c']],
      [6, []],
    ] as const) {
      const made = takenOver(step('c', { when: `\${steps.a.output.n} == ${String(n)}` }));
      await walk(made);
      expect(made.calls.map(({ stepId }) => stepId)).toEqual(calls);
      expect(made.store.reads).toEqual(['blob of a']);
    }
  });

  it('reads the one that a for_each goes through, once', async () => {
    const made = takenOver(
      step('c', { for_each: '${steps.a.output.list}', params: { of: '${item}' } }),
    );
    await walk(made);
    expect(made.calls.map(({ input }) => input)).toEqual([{ of: 'x' }, { of: 'y' }]);
    expect(made.store.reads).toEqual(['blob of a']);
    expect(made.store.outcome).toMatchObject({
      status: 'success',
      output: ['c[0] done', 'c[1] done'],
    });
  });

  it('reads two at once only when they fit into memory', async () => {
    const when = '${steps.a.output.n} < ${steps.b.output.n}';
    const fine = takenOver(step('c', { when }), 8 * 2 ** 20);
    await walk(fine);
    expect(fine.store.outcome).toMatchObject({ status: 'success' });
    expect(fine.store.reads).toEqual(['blob of a', 'blob of b']);

    const made = takenOver(step('c', { when }), 9 * 2 ** 20);
    await walk(made);
    expect(made.store.outcome).toMatchObject({
      status: 'error',
      error: { code: 'engine.too_large', message: expect.stringContaining('18 MiB') as unknown },
    });
    expect(made.store.reads).toEqual([]);
  });

  it('ends with an output that it never read', async () => {
    const made = takenOver(step('c', { when: 'false' }));
    await walk(made);
    expect(made.store.outcome).toEqual({
      status: 'success',
      output: new BlobHandle('blob of b', 100_000),
    });
    expect(made.store.reads).toEqual([]);
  });
});

it('reads nothing back of what its own steps have just given', async () => {
  const steps = [
    step('a'),
    step('b', { depends_on: ['a'], when: '${steps.a.output.n} == 1' }),
    step('c', { depends_on: ['b'], for_each: '${steps.a.output.list}' }),
  ];
  const large = stepSucceeded({ n: 1, list: ['x'.repeat(100_000), 'y'] });
  const made = setUp({ a: { results: [large] } }, [], steps);
  await walk(made);
  expect(made.calls.map(({ stepId }) => stepId)).toEqual(['a', 'b', 'c', 'c']);
  expect(made.store.reads).toEqual([]);
});

import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../common/json.js';
import { stepFailed, stepSucceeded, type ProviderResult } from '../common/provider-result.js';
import type { StepDefinition } from '../plans/rules/plan-definition.js';
import { busy, loop, range, refused, runs, takeOver } from './for-each.fake.js';
import { LeaseLost, WHOLE_STEP } from './run-store.js';
import { setUp, walk } from './run-walker.fake.js';

describe('a step with for_each', () => {
  it('runs once for each item and gives a list in their order', async () => {
    const made = loop(['a', { b: 1 }, null], { concurrency: 1 });
    await walk(made);
    expect(made.calls.map(({ iteration, input }) => [iteration, input])).toEqual([
      [0, { it: 'a', at: 0 }],
      [1, { it: { b: 1 }, at: 1 }],
      [2, { it: null, at: 2 }],
    ]);
    expect(made.happened).toEqual([
      'write each[*]=started',
      'run:each[0]#1',
      'run:each[1]#1',
      'run:each[2]#1',
      'finish:success each[0]=success each[1]=success each[2]=success each[*]=success',
    ]);
    const output = ['each[0] done', 'each[1] done', 'each[2] done'];
    expect(made.store.outcome).toEqual({ status: 'success', output });
    expect(made.store.journal.at(-1)).toMatchObject({
      iteration: WHOLE_STEP,
      result: {
        output: null,
        message: 'ok',
        metadata: { items: { total: 3, succeeded: 3, failed: 0, failed_indexes: [] } },
      },
    });
  });

  it('gives its list to later steps, and takes it from earlier ones', async () => {
    const step = (id: string, rest: Partial<StepDefinition>): StepDefinition => ({
      ...{ id, provider: 'p', action: 'a' },
      ...rest,
    });
    const made = setUp(
      {
        list: { results: [stepSucceeded({ items: [1, 2] })] },
        each: { results: [] },
        sum: { results: [] },
      },
      [],
      [
        step('list', {}),
        step('each', { for_each: '${steps.list.output.items}', params: { it: '${item}' } }),
        step('sum', { params: { second: '${steps.each.output[1]}', all: '${steps.each.output}' } }),
      ],
    );
    await walk(made);
    expect(made.calls.at(-1)?.input).toEqual({
      second: 'each[1] done',
      all: ['each[0] done', 'each[1] done'],
    });
  });

  it('succeeds with an empty list when there are no items', async () => {
    const made = loop([]);
    await walk(made);
    expect(made.happened).toEqual(['finish:success each[*]=success']);
    expect(made.store.outcome).toEqual({ status: 'success', output: [] });
  });

  it.each<[string, JsonValue, string, RegExp]>([
    [
      '${input.list}',
      { list: 'a,b' },
      'input.invalid',
      /for_each: \$\{input.list\} is text, not a list/,
    ],
    ['${input.list}', { list: null }, 'input.invalid', /is null, not a list/],
    ['${input.list}', {}, 'reference.missing', /\$\{input.list\} leads to nothing/],
    ['${input.list}', { list: range(10_001) }, 'input.invalid', /10001 items, more than the 10000/],
  ])('fails over what is no list: %s of %j', async (items, input, code, message) => {
    const made = loop(items);
    made.run.input = input;
    await walk(made);
    expect(made.happened).toEqual(['finish:error each[*]=error']);
    expect(made.store.outcome).toMatchObject({
      error: { code, message: expect.stringMatching(message), details: { reference: items } },
    });
  });

  it('asks its condition once, before the list', async () => {
    const made = loop('${input.nothing}', { step: { when: 'false' } });
    await walk(made);
    expect(made.happened).toEqual(['finish:success each[*]=skipped']);
    const again = takeOver(made);
    await walk(again);
    expect(again.store.outcome).toEqual({ status: 'success', output: null });
    const unclear = loop([1], { step: { when: 'input.nothing' } });
    await walk(unclear);
    expect(unclear.store.outcome).toMatchObject({ error: { code: 'reference.missing' } });
  });

  it('has as many items under way as it allows, and begins the next when one ends', async () => {
    const made = loop(range(50), { concurrency: 7 });
    let [now, most] = [0, 0];
    made.onRun = async (_, { iteration }) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, iteration % 3));
      now--;
      return null;
    };
    await walk(made);
    expect(most).toBe(7);
    expect(made.calls.map(({ iteration }) => iteration)).toEqual(range(50));
    expect((made.store.outcome?.output as string[])[49]).toBe('each[49] done');
  });

  it('has each result of a write durable, the last one together with the end', async () => {
    const made = loop([1, 2], { concurrency: 1, script: { effects: 'write' } });
    await walk(made);
    expect(made.happened).toEqual([
      'write each[*]=started',
      'write each[0]=started',
      'run:each[0]#1',
      'write each[0]=success',
      'write each[1]=started',
      'run:each[1]#1',
      'finish:success each[1]=success each[*]=success',
    ]);
  });

  it('goes through ten thousand items without growing slower', async () => {
    const time = async (count: number): Promise<number> => {
      const one = loop('${input}', { concurrency: 100, script: { effects: 'read' } });
      one.run.input = range(count);
      const begin = performance.now();
      await walk(one);
      expect(one.store.outcome).toMatchObject({ status: 'success' });
      return performance.now() - begin;
    };
    await time(1_000);
    let few = 0;
    for (let i = 0; i < 5; i++) few += await time(1_000);
    // Twice the work; were it quadratic, twenty times.
    expect((await time(10_000)) / few).toBeLessThan(12);
  });

  it('holds no more outputs than a run may, however many items give them at once', async () => {
    const made = loop(range(70), { concurrency: 40, on_error: 'continue' });
    made.onRun = () => stepSucceeded('x'.repeat(2 ** 20));
    await walk(made);
    const output = made.store.outcome?.output as (string | null)[];
    expect(output.filter((one) => one !== null)).toHaveLength(63);
    const failed = made.store.journal.filter(({ status }) => status === 'error');
    expect(failed).toHaveLength(7);
    expect(failed[0]).toMatchObject({ result: { error: { code: 'engine.too_large' } } });
  });

  it('ends its other items when one of them finds the lease lost', async () => {
    const made = loop(range(20), { concurrency: 5, script: { effects: 'write' } });
    made.onRun = async (_, { iteration, signal }) => {
      if (iteration === 2) {
        made.store.failures = [new LeaseLost(made.run.lease)];
        return null;
      }
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      return stepFailed('step.cancelled', 'killed');
    };
    await walk(made);
    expect(made.calls.length).toBeLessThanOrEqual(5);
    expect(made.store.outcome).toBeNull();
  });
});

describe('an item that fails', () => {
  it('begins no further one, waits for those that run, and fails the step with its error', async () => {
    const made = loop(range(10), { concurrency: 3 });
    made.onRun = async (_, { iteration }) => {
      if (iteration === 1) return refused();
      await new Promise((resolve) => setTimeout(resolve, 5));
      return null;
    };
    await walk(made);
    expect(runs(made)).toEqual(['run:each[0]#1', 'run:each[1]#1', 'run:each[2]#1']);
    expect(made.store.outcome).toMatchObject({
      status: 'error',
      error: {
        code: 'provider.rejected',
        message: 'item 1: no',
        details: { index: 1, succeeded: 2, failed: 1, total: 10 },
      },
    });
    expect(made.store.journal.at(-1)).toMatchObject({
      status: 'error',
      result: { metadata: { items: { total: 10, succeeded: 2, failed: 1, failed_indexes: [1] } } },
    });
  });

  it('leaves null in its place where the others go on', async () => {
    const made = loop(range(5), { on_error: 'continue' });
    made.onRun = (_, { iteration }) => (iteration % 2 === 1 ? refused() : null);
    await walk(made);
    expect(made.store.outcome).toEqual({
      status: 'success',
      output: ['each[0] done', null, 'each[2] done', null, 'each[4] done'],
    });
    expect(made.store.journal.at(-1)).toMatchObject({
      result: {
        message: '2 of 5 items failed: 1, 3',
        metadata: { items: { total: 5, succeeded: 3, failed: 2, failed_indexes: [1, 3] } },
      },
    });
  });

  it('names a bounded number of those that failed, and fails the step when all have', async () => {
    const made = loop(range(500), { on_error: 'continue' });
    made.onRun = () => refused();
    await walk(made);
    expect(made.store.outcome).toMatchObject({
      status: 'error',
      error: { code: 'provider.rejected', details: { index: 0, succeeded: 0, failed: 500 } },
    });
    const { result } = made.store.journal.at(-1) as { result: ProviderResult };
    expect(result.metadata['items']).toMatchObject({ failed: 500, failed_indexes: range(100) });
  });

  it('has attempts of its own', async () => {
    const made = loop(range(3), { concurrency: 1, script: { effects: 'read' } });
    made.onRun = (_, { iteration, attempt }) => (iteration === 1 && attempt < 3 ? busy() : null);
    await walk(made);
    expect(runs(made)).toEqual([
      ...['run:each[0]#1', 'run:each[1]#1', 'run:each[1]#2', 'run:each[1]#3', 'run:each[2]#1'],
    ]);
    expect(made.slept).toHaveLength(2);
    expect(made.store.outcome).toMatchObject({ status: 'success' });
  });

  it('repeats a crash from the answers that it had', async () => {
    const results = [stepFailed('plugin.crashed', 'gone')];
    const made = loop([1, 2], {
      concurrency: 1,
      script: { effects: 'write', posts: true, results },
    });
    await walk(made);
    expect(made.happened.filter((what) => /^(run|replay|post)/.test(what))).toEqual([
      ...['run:each[0]#1', 'post:each[0]', 'replay:each[0]#2'],
      ...['run:each[1]#1', 'post:each[1]'],
    ]);
    expect(made.store.outcome).toMatchObject({ status: 'success' });
  });
});

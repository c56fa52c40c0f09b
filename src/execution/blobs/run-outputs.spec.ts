import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../../common/json.js';
import { stepSucceeded } from '../../common/provider-result.js';
import type { StepDefinition } from '../../plans/rules/plan-definition.js';
import { resolveReferences } from '../../plans/rules/references.js';
import { RunState } from '../run-state.js';
import type { JournalEntry, LeasedRun } from '../run-store.js';
import { BlobHandle, HeldList, outputBlobId } from './blob-handle.js';
import { PayloadCache } from './payload-cache.js';
import { outputsInParams, outputsInWhen } from './referenced-outputs.js';

const MIB = 2 ** 20;

const step = (id: string, rest: Partial<StepDefinition> = {}): StepDefinition => ({
  ...{ id, provider: 'p', action: 'a', ...rest },
});

const stateOf = (
  steps: StepDefinition[],
  {
    journal = [],
    executionId = 'e',
    payloads = new PayloadCache(16 * MIB),
  }: { journal?: JournalEntry[]; executionId?: string; payloads?: PayloadCache } = {},
): RunState => {
  const run = {
    lease: { executionId },
    definition: { steps, pins: {} },
    ...{ input: {}, forgiven: {}, journal },
  } as unknown as LeasedRun;
  return new RunState(run, () => '', payloads);
};

const settle = (state: RunState, stepId: string, output: JsonValue): void => {
  state.settle(stepId, { status: 'success', result: state.fit(stepSucceeded(output)) });
};

const read = (state: RunState, text: string): JsonValue => resolveReferences(text, state.scope);

describe('the outputs of a run', () => {
  it('are at hand when they are small', () => {
    const state = stateOf([step('a')]);
    settle(state, 'a', { x: 1 });
    expect(state.outputs.hasLarge).toBe(false);
    expect(read(state, '${steps.a.output.x}')).toBe(1);
  });

  it('stand behind a handle when they are large, and are read only while they are loaded', () => {
    const state = stateOf([step('a')]);
    settle(state, 'a', { text: 'x'.repeat(100_000), n: 7 });
    expect(read(state, '${steps.a.output ?? "none"}')).toBe('none');
    const wanted = state.outputs.listWanted(outputsInParams('${steps.0.output.n}'));
    expect(wanted).toEqual([{ stepId: 'a', handle: expect.any(BlobHandle) as unknown }]);
    expect(wanted.map((one) => state.outputs.loadKept(one))).toEqual([true]);
    expect(read(state, '${steps.a.output.n}')).toBe(7);
    expect(state.outputs.loadKept(wanted[0]!)).toBe(true);
    state.outputs.release(wanted[0]!);
    expect(read(state, '${steps.a.output.n}')).toBe(7);
    state.outputs.release(wanted[0]!);
    expect(read(state, '${steps.a.output ?? "none"}')).toBe('none');
  });

  it('are dropped when others were used after them', () => {
    const ids = Array.from({ length: 20 }, (_, n) => `s${String(n)}`);
    const state = stateOf(ids.map((id) => step(id)));
    for (const id of ids) settle(state, id, 'x'.repeat(MIB));
    const kept = ids.filter((id) => {
      const [wanted] = state.outputs.listWanted(outputsInParams(`\${steps.${id}.output}`));
      return state.outputs.loadKept(wanted!);
    });
    // 16 MiB of texts of 1 MiB and their quotes.
    expect(kept).toEqual(ids.slice(-15));
  });

  it('are dropped for those of other runs, too: a host holds so much of all', () => {
    const payloads = new PayloadCache(3 * MIB);
    const [first, second] = ['first', 'second'].map((executionId) =>
      stateOf([step('a')], { executionId, payloads }),
    );
    settle(first!, 'a', 'x'.repeat(2 * MIB));
    settle(second!, 'a', 'x'.repeat(2 * MIB));
    const isKept = [first!, second!].map(({ outputs }) =>
      outputs.loadKept(outputs.listWanted(outputsInParams('${steps.a.output}'))[0]!),
    );
    expect(isKept).toEqual([false, true]);
  });

  it('may take 64 MiB together, and the small ones 16', () => {
    const state = stateOf([step('a')]);
    const admitted = (output: JsonValue): number => {
      for (let count = 0; ; count++) {
        const { error } = state.fit(stepSucceeded(output));
        if (!error) continue;
        expect(error).toMatchObject({ code: 'engine.too_large', retryable: false });
        return count;
      }
    };
    expect(admitted('x'.repeat(64 * 1024 - 2))).toBe(256);
    expect(admitted('x'.repeat(MIB))).toBe(47);
  });

  it('count the same after a takeover', () => {
    const handle = new BlobHandle('b', 63 * MIB);
    const entry = {
      ...{ stepId: 'a', iteration: 0, attempt: 1, status: 'success' },
      ...{ result: stepSucceeded(null), blobs: { output: handle } },
    } as unknown as JournalEntry;
    const state = stateOf([step('a'), step('b')], { journal: [entry] });
    expect(state.outputs.listWanted(outputsInParams('${steps.a.output}'))).toEqual([
      { stepId: 'a', handle },
    ]);
    expect(state.fit(stepSucceeded('x'.repeat(2 * MIB))).success).toBe(false);
    expect(state.fit(stepSucceeded('x'.repeat(MIB - 2))).success).toBe(true);
  });

  it('of a for_each are loaded item by item', () => {
    const state = stateOf([step('a', { for_each: '${input}' }), step('b')]);
    const loop = state.loopOf('a');
    loop.begin({ status: 'started', input: { total: 3 } } as unknown as JournalEntry & {
      status: 'started';
    });
    for (const [index, output] of ['x'.repeat(MIB), 'small', 'y'.repeat(MIB)].entries()) {
      loop.record(index, state.fit(stepSucceeded(output)));
    }
    state.settle('a', { status: 'success', result: loop.summarise(3, 'stop') });
    expect(read(state, '${steps.a.output}')).toEqual([null, 'small', null]);
    const handles = (text: string): string[] =>
      state.outputs.listWanted(outputsInParams(text)).map(({ handle }) => handle.id);
    const [first, third] = [0, 2].map((iteration) => outputBlobId('e', { stepId: 'a', iteration }));
    expect(handles('${steps.a.output[1]}')).toEqual([]);
    expect(handles('${steps.a.output[2]}')).toEqual([third]);
    expect(handles('${steps.a.output}')).toEqual([first, third]);
    expect(handles('${steps.a.status}')).toEqual([]);
    for (const one of state.outputs.listWanted(outputsInParams('${steps.a.output[2]}'))) {
      state.outputs.loadKept(one);
    }
    expect(read(state, '${steps.a.output[2]}')).toBe('y'.repeat(MIB));
    settle(state, 'b', 1);
    expect(state.nextMove()).toMatchObject({ outcome: { status: 'success', output: 1 } });
  });

  it('end a run: as a handle, as a list with handles, or as one that only names them', () => {
    const plain = stateOf([step('a')]);
    settle(plain, 'a', 'x'.repeat(MIB));
    expect(plain.nextMove()).toMatchObject({
      outcome: {
        output: new BlobHandle(outputBlobId('e', { stepId: 'a', iteration: 0 }), MIB + 2),
      },
    });
    for (const [total, shown] of [
      [2, expect.any(HeldList)],
      [20, expect.arrayContaining([expect.objectContaining({ bytes: MIB + 2 })])],
    ] as [number, unknown][]) {
      const state = stateOf([step('a', { for_each: '${input}' })]);
      const loop = state.loopOf('a');
      loop.begin({ status: 'started', input: { total } } as unknown as JournalEntry & {
        status: 'started';
      });
      for (let n = 0; n < total; n++) {
        loop.record(n, state.fit(stepSucceeded('x'.repeat(MIB))));
      }
      state.settle('a', { status: 'success', result: loop.summarise(total, 'stop') });
      expect(state.nextMove()).toMatchObject({ outcome: { status: 'success', output: shown } });
    }
  });
});

it('finds the outputs that params and conditions look at', () => {
  const found = outputsInParams({
    a: 'x ${steps.a.output.list[0]} ${steps.b.status}',
    b: ['${steps.c.output ?? "x"}', '$${steps.d.output}', '${input.steps}'],
  });
  expect(found.map(({ step: { key }, item }) => [key, item])).toEqual([
    ['a', null],
    ['c', null],
  ]);
  expect(outputsInWhen('${steps.a.output[1]} > 2 && steps.1.output.x == 1')).toMatchObject([
    { step: { key: 'a' }, item: 1 },
    { step: { index: 1 }, item: null },
  ]);
  expect(outputsInWhen('&&')).toEqual([]);
  // What the schema marks is none of the engine's.
  const schema = { properties: { a: { 'x-stepwell-expression': true } } };
  expect(outputsInParams({ a: '${steps.a.output}' }, schema)).toEqual([]);
});

describe('the cache of payloads', () => {
  const handle = (id: string, bytes = 4): BlobHandle => new BlobHandle(id, bytes);

  it('drops what was used least recently', () => {
    const cache = new PayloadCache(10);
    cache.put(handle('a'), 1);
    cache.put(handle('b'), 2);
    expect(cache.find(handle('a'))).toBe(1);
    cache.put(handle('c'), 3);
    expect(['a', 'b', 'c'].map((id) => cache.find(handle(id)))).toEqual([1, undefined, 3]);
    cache.put(handle('c'), 4);
    expect(cache.find(handle('a'))).toBe(1);
  });

  it('holds nothing that is larger than all of it', () => {
    const cache = new PayloadCache(10);
    cache.put(handle('a'), 1);
    cache.put(handle('b', 11), 2);
    expect(cache.find(handle('b'))).toBeUndefined();
    expect(cache.find(handle('a'))).toBe(1);
  });
});

import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../../common/json.js';
import type { ProviderResult } from '../../common/provider-result.js';
import { DEFAULT_LIMITS } from '../sandbox.js';
import { answering, callOf, SCHEMA_WITH_WHERE, valueAction } from './declarative.fake.js';
import { DeclarativeSandbox } from './declarative-sandbox.js';

const never = new AbortController().signal;

async function run(
  value: JsonValue,
  input: JsonValue = {},
  input_schema: JsonValue = true,
): Promise<ProviderResult> {
  const action = valueAction(value, { input: input_schema as boolean });
  return await new DeclarativeSandbox().run(callOf(action, input), answering(500, null), never);
}

describe('value templates', () => {
  it.each<[string, JsonValue, JsonValue, JsonValue]>([
    ['a whole expression keeps its type', '{{ input.a }}', { a: [1, null] }, [1, null]],
    ['text', 'Hi {{ upper(input.n) }}, {{input.none}}!', { n: 'Ada', none: null }, 'Hi ADA, !'],
    ['nested', { x: ['{{input.a}}', 2, null, true] }, { a: 1 }, { x: [1, 2, null, true] }],
    [
      'missing members are left out',
      { a: '{{input.a}}', b: 'x{{input.b}}', c: ['{{input.c}}'] },
      {},
      { b: 'x', c: [null] },
    ],
    ['a missing whole is null', '{{input.nope}}', {}, null],
    [
      'references of plans are data',
      '${input.a} {{input.a}}',
      { a: '{{ input.b }}' },
      '${input.a} {{ input.b }}',
    ],
    ['then', { $if: 'input.n > 3', then: 'big', else: 'small' }, { n: 4 }, 'big'],
    ['else', { $if: 'input.n > 3', then: 'big', else: { s: '{{input.n}}' } }, { n: 1 }, { s: 1 }],
    ['no else', { a: { $if: 'input.n', then: 1 } }, {}, {}],
    [
      'each',
      {
        $each: 'input.users',
        as: 'user',
        where: 'user.age >= 18',
        do: { n: '{{user.name}}', i: '{{index}}' },
      },
      {
        users: [
          { name: 'a', age: 20 },
          { name: 'b', age: 3 },
          { name: 'c', age: 18 },
        ],
      },
      [
        { n: 'a', i: 0 },
        { n: 'c', i: 2 },
      ],
    ],
    [
      'each in each',
      { $each: 'input.rows', as: 'row', do: { $each: 'row', do: '{{ add(item, index) }}' } },
      { rows: [[1, 1], [5]] },
      [[1, 2], [5]],
    ],
    ['each of nothing', { $each: 'input.none', do: 1 }, {}, []],
    [
      'spread',
      { a: 1, $spread: 'input.more', b: 2 },
      { more: { b: 0, c: 3 } },
      { b: 2, c: 3, a: 1 },
    ],
    ['spread of nothing', { $spread: 'input.more', a: 1 }, {}, { a: 1 }],
    ['escaped names', { $$if: 1, $set: 2 }, {}, { $if: 1, $set: 2 }],
  ])('%s', async (_name, template, input, expected) => {
    const result = await run(template, input);
    expect(result).toMatchObject({ success: true, error: null });
    expect(result.output).toEqual(expected);
  });

  it('evaluates marked parameters with the item in scope', async () => {
    const filter: JsonValue = {
      $each: 'input.items',
      where: { $evaluate: '/where' },
      do: '{{item}}',
    };
    const items = [
      { n: 1, ok: true },
      { n: 5, ok: false },
      { n: 9, ok: true },
    ];
    const kept = await run(filter, { items, where: '${item.n} > 3 && item.ok' }, SCHEMA_WITH_WHERE);
    expect(kept.output).toEqual([{ n: 9, ok: true }]);
    expect((await run(filter, { items }, SCHEMA_WITH_WHERE)).output).toEqual(items);

    const map: JsonValue = { $each: 'input.items', do: { $evaluate: '/template' } };
    const template = {
      id: '${index}',
      text: 'n=${item.n}',
      all: '${item}',
      plain: [true, '$${x}'],
    };
    const mapped = await run(map, { items: items.slice(0, 1), template }, SCHEMA_WITH_WHERE);
    expect(mapped.output).toEqual([
      { id: 0, text: 'n=1', all: { n: 1, ok: true }, plain: [true, '${x}'] },
    ]);
  });

  it.each<[JsonValue, string, RegExp]>([
    ['${item.nope} > 3', 'reference.missing', /\/where.*item\.nope/],
    ['${item} > "a"', 'input.invalid', /a number and text/],
    ['${item} >', 'input.invalid', /expected a value/],
    ['length(item) > 1', 'input.invalid', /functions are not allowed/],
    [{ not: 'text' }, 'input.invalid', /must be text/],
  ])('says that the parameter %j is the one at fault', async (where, code, message) => {
    const filter: JsonValue = {
      $each: 'input.items',
      where: { $evaluate: '/where' },
      do: '{{item}}',
    };
    const { error } = await run(filter, { items: [1], where }, SCHEMA_WITH_WHERE);
    expect(error).toMatchObject({
      code,
      message: expect.stringMatching(message),
      details: { pointer: '/where' },
    });
  });

  it.each<[JsonValue, JsonValue, string, RegExp]>([
    [
      '{{ upper(input.a) }}',
      { a: 5 },
      'plugin.threw',
      /upper: argument 1 must be text, got a number/,
    ],
    [{ $each: 'input.a', do: 1 }, { a: 'x' }, 'plugin.threw', /needs a list, got text/],
    [{ $spread: 'input.a' }, { a: [1] }, 'plugin.threw', /needs an object, got a list/],
    ['{{ nope( }}', {}, 'plugin.load_failed', /broken at \/value/],
    ['{{ steps.a.output }}', {}, 'plugin.load_failed', /its own input only/],
  ])('fails %j as data', async (template, input, code, message) => {
    const result = await run(template, input);
    expect(result).toMatchObject({
      success: false,
      output: null,
      error: { code, retryable: false, message: expect.stringMatching(message) },
    });
  });

  it('has budgets on steps, growth and output', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const nested: JsonValue = {
      $each: 'input.items',
      as: 'a',
      do: { $each: 'input.items', as: 'b', do: '{{ add(a, b) }}' },
    };
    expect((await run(nested, { items })).error).toMatchObject({ code: 'plugin.cpu_exceeded' });
    const text = 'x'.repeat(100_000);
    const copies: JsonValue = { $each: 'input.items', do: '{{ concat(input.text, index) }}' };
    expect((await run(copies, { items, text })).error).toMatchObject({
      code: 'plugin.output_too_large',
    });
    // Sharing costs nothing to make, so the output is measured, and before it becomes text.
    const shared: JsonValue = { $each: 'input.items', do: '{{ input.text }}' };
    expect((await run(shared, { items, text })).error).toMatchObject({
      code: 'plugin.output_too_large',
    });
  });

  it('measures the output in bytes', async () => {
    const sandbox = new DeclarativeSandbox();
    const limited = (outputBytes: number, input: string): Promise<ProviderResult> =>
      sandbox.run(
        callOf(valueAction('{{input}}'), input, { limits: { ...DEFAULT_LIMITS, outputBytes } }),
        answering(500, null),
        never,
      );
    expect((await limited(8, 'üüü')).success).toBe(true);
    expect((await limited(7, 'üüü')).error).toMatchObject({ code: 'plugin.output_too_large' });
  });

  it('hands out nothing that a caller could change for the next call', async () => {
    const sandbox = new DeclarativeSandbox();
    const call = callOf(valueAction({ list: [], fixed: { a: 1 } }));
    const first = await sandbox.run(call, answering(500, null), never);
    (first.output as { list: number[] }).list.push(1);
    expect((await sandbox.run(call, answering(500, null), never)).output).toEqual({
      list: [],
      fixed: { a: 1 },
    });
  });

  it('keeps a bounded number of compiled actions, and one per plugin', async () => {
    const sandbox = new DeclarativeSandbox({ maxCompiled: 2 });
    for (let round = 0; round < 3; round++) {
      for (const value of ['a', 'b', 'c']) {
        const call = callOf(valueAction(value));
        expect((await sandbox.run(call, answering(500, null), never)).output).toBe(value);
      }
    }
    expect((sandbox as unknown as { compiled: Map<string, unknown> }).compiled.size).toBe(2);
  });

  it('ends at once when its signal has aborted', async () => {
    const call = callOf(valueAction('x'));
    const sandbox = new DeclarativeSandbox();
    const cancelled = await sandbox.run(call, answering(500, null), AbortSignal.abort());
    expect(cancelled.error).toMatchObject({ code: 'step.cancelled' });
    const timeout = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
    expect((await sandbox.run(call, answering(500, null), timeout)).error).toMatchObject({
      code: 'step.timed_out',
    });
  });

  const dictionary = (size: number, name: string): JsonValue =>
    Object.fromEntries(Array.from({ length: size }, (_, i) => [name + String(i), i]));

  it.each<[string, JsonValue]>([
    ['compares', '{{ input.a == input.b }}'],
    ['spreads', { $spread: 'input.a' }],
    ['writes', '{{ json(input.a) }}'],
    ['is evaluated', { $evaluate: '/template' }],
  ])('gives up when it %s a large object for each of many items', async (_, body) => {
    const list = Array.from({ length: 25_000 }, () => 1);
    const input = { a: dictionary(4000, 'a'), b: dictionary(4000, 'b'), list };
    const template = { ...(dictionary(4000, 'w') as object), x: '${input.a}' };
    const result = await run(
      { $each: 'input.list', do: body },
      { ...input, template },
      { properties: { template: { 'x-stepwell-expression': true } } },
    );
    expect(result.error?.code).toMatch(/plugin\.(cpu_exceeded|output_too_large)/);
  });

  it('tells for many items whether a large object is empty', async () => {
    const list = Array.from({ length: 10_000 }, () => 1);
    const input = { a: dictionary(4000, 'a'), list };
    const result = await run(
      { $each: 'input.list', do: '{{ default(input.a, 1) != null }}' },
      input,
    );
    expect(result.output).toHaveLength(10_000);
  });
});

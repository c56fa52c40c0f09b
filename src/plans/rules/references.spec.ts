import { describe, expect, it } from '@jest/globals';

import { DEFAULT_EVALUATION_LIMITS, Meter } from '../../common/expression/meter.js';
import type { JsonValue } from '../../common/json.js';
import { stepFailed, stepSucceeded } from '../../common/provider-result.js';
import { referenceScope, type ReferenceValues } from './reference-scope.js';
import {
  containsReference,
  listReferences,
  resolveReferences,
  scanReferences,
  UnresolvedReferenceError,
} from './references.js';

const scope = referenceScope({
  steps: [{ id: 'fetch' }, { id: 'step_2' }, { id: 'skip' }, { id: 'later' }],
  results: new Map([
    [
      'fetch',
      {
        status: 'success',
        result: stepSucceeded({ users: [{ name: 'Ada', tags: ['x'] }], none: null }),
      },
    ],
    ['step_2', { status: 'error', result: stepFailed('provider.rejected', 'no such user') }],
    ['skip', { status: 'skipped' }],
  ] as const),
  input: { x: 5, 'odd key': true, text: 'hi ${input.x}' },
  trigger: { body: { id: 'evt' } },
  executionId: 'ex-1',
});

function failure(params: JsonValue): UnresolvedReferenceError {
  try {
    resolveReferences(params, scope);
  } catch (error) {
    if (error instanceof UnresolvedReferenceError) return error;
    throw error;
  }
  throw new Error('expected UnresolvedReferenceError');
}

describe('resolveReferences', () => {
  it.each<[string, JsonValue]>([
    ['${steps.fetch.output.users[0].name}', 'Ada'],
    ['${steps.0.output.users}', [{ name: 'Ada', tags: ['x'] }]],
    ['${steps.0.success}', true],
    ['${steps.0.error}', null],
    ['${steps.step_2.success}', false],
    ['${steps.1.status}', 'error'],
    ['${steps.1.message}', 'no such user'],
    ['${steps.1.error.code}', 'provider.rejected'],
    ['${steps.1.output}', null],
    ['${steps.skip.status} ${steps.skip.success}', 'skipped false'],
    ['${steps.skip.output ?? "none"}', 'none'],
    ['${steps.later.output ?? 0}', 0],
    ['${input.x}', 5],
    ['${input["odd key"]}', true],
    ['${trigger.body.id}', 'evt'],
    ['${execution.id}', 'ex-1'],
    ['User ${steps.0.output.users[0]} has ${input.x}', 'User {"name":"Ada","tags":["x"]} has 5'],
    ['<${steps.0.output.none}>', '<>'],
    ['$${input.x} costs $5', '${input.x} costs $5'],
    // What a reference brings in is not looked at again.
    ['${input.text}', 'hi ${input.x}'],
    ['> ${input.text}', '> hi ${input.x}'],
  ])('%s', (text, expected) => {
    expect(resolveReferences({ deep: [text] }, scope)).toEqual({ deep: [expected] });
  });

  it.each([
    '${steps.later.output}',
    '${steps.skip.output}',
    '${steps.0.output.nope}',
    '${input.x.y}',
    '${item}',
  ])('fails on %s with the reference and its place', (reference) => {
    const error = failure({ to: ['a', { 'b/c': `see ${reference}` }] });
    expect(error).toMatchObject({ reason: 'missing', reference, pointer: '/to/1/b~1c' });
    expect(error.message).toContain(reference);
  });

  it('knows item and index inside an iteration', () => {
    const inside = referenceScope({
      steps: [],
      results: new Map(),
      input: null,
      executionId: 'e',
      iteration: { item: { n: 1 }, index: 0 },
    });
    expect(resolveReferences(['${item.n}', '${index}', '${item}'], inside)).toEqual([
      1,
      0,
      { n: 1 },
    ]);
  });

  it('knows the URL of a wait before its step is begun, and of each item its own', () => {
    const values: ReferenceValues = {
      steps: [
        { id: 'one', forEach: null },
        { id: 'each', forEach: { items: [], concurrency: 1, onError: 'stop' } },
      ],
      results: new Map(),
      input: null,
      executionId: 'e',
      waitUrlOf: (stepId: string, iteration: number) => `https://${stepId}/${String(iteration)}`,
    };
    const outside = referenceScope(values);
    expect(resolveReferences('see ${waits.one.url}', outside)).toBe('see https://one/0');
    const inside = referenceScope({ ...values, iteration: { item: 'x', index: 7 } });
    const both = ['${waits.one.url}', '${waits.each.url}'];
    expect(resolveReferences(both, inside)).toEqual(['https://one/0', 'https://each/7']);
    const none: ReferenceValues = {
      steps: values.steps,
      results: new Map(),
      input: 1,
      executionId: 'e',
    };
    for (const [reference, where] of [
      ['${waits.each.url}', outside],
      ['${waits.other.url}', outside],
      ['${waits.one.token}', outside],
      ['${waits.one.url.length}', outside],
      ['${waits.one.url}', referenceScope(none)],
    ] as const) {
      expect(() => resolveReferences(reference, where)).toThrow(/leads to nothing/);
    }
  });

  it('reports bad syntax', () => {
    expect(failure({ a: '${input.x > 1}' })).toMatchObject({ reason: 'syntax', pointer: '/a' });
    expect(failure({ a: 'open ${input' }).message).toMatch(/\$\$\{/);
  });

  it('leaves what the schema marks as an expression', () => {
    const schema = { properties: { where: { 'x-stepwell-expression': true } } };
    const params = { where: '${item.n} > 1', limit: '${input.x}' };
    expect(resolveReferences(params, scope, { schema })).toEqual({
      where: '${item.n} > 1',
      limit: 5,
    });
    expect(listReferences(params, { schema }).map(({ reference }) => reference)).toEqual([
      '${input.x}',
    ]);
  });

  it('hands on what holds no reference, and shares unchanged parts', () => {
    const plain = { a: { b: [1] }, c: '$5' };
    expect(resolveReferences(plain, scope)).toBe(plain);
    const half = { kept: { b: 1 }, c: '${input.x}' };
    expect((resolveReferences(half, scope) as typeof half).kept).toBe(half.kept);
  });

  it('stops before the result grows too large', () => {
    const big = referenceScope({
      steps: [],
      results: new Map(),
      input: 'x'.repeat(1000),
      executionId: 'e',
    });
    const shared = Array<JsonValue>(100).fill('${input}');
    const options = { maxBytes: 50_000 };
    expect(() => resolveReferences(shared, big, options)).toThrow(/too large/);
    expect(() => resolveReferences('${input} '.repeat(100), big, options)).toThrow(/too large/);
    expect(resolveReferences(shared.slice(0, 20), big, options)).toHaveLength(20);
  });

  it('never sets a prototype', () => {
    const params = JSON.parse('{"__proto__":{"polluted":"${input.x}"}}') as JsonValue;
    const resolved = resolveReferences(params, scope) as object;
    expect(Object.getPrototypeOf(resolved)).toBe(Object.prototype);
    expect('polluted' in {}).toBe(false);
  });
});

describe('listReferences and scanReferences', () => {
  it('lists each path with its place, text and step', () => {
    const params = { a: ['${steps.x-1.output.y ?? input.z}'], b: '${steps.0.success}!' };
    expect(
      listReferences(params).map(({ path, ...found }) => ({ ...found, text: path.text })),
    ).toEqual([
      {
        pointer: '/a/0',
        reference: '${steps.x-1.output.y ?? input.z}',
        stepRef: 'x-1',
        text: 'steps.x-1.output.y',
      },
      { pointer: '/a/0', reference: '${steps.x-1.output.y ?? input.z}', text: 'input.z' },
      { pointer: '/b', reference: '${steps.0.success}', stepRef: '0', text: 'steps.0.success' },
    ]);
  });

  it('finds every syntax problem, not only the first', () => {
    const { problems } = scanReferences({ a: '${', b: ['${}'], c: '${input.x}' });
    expect(problems.map(({ pointer }) => pointer)).toEqual(['/a', '/b/0']);
  });

  it('tells whether there is any', () => {
    expect(containsReference({ a: [1, { b: 'x ${y}' }] })).toBe(true);
    expect(containsReference({ a: [1, { b: '$y {}' }] })).toBe(false);
    expect(containsReference(undefined)).toBe(false);
  });
});

describe('the budget of references', () => {
  const big: JsonValue = Array.from({ length: 100_000 }, (_, i) => i);
  const large = referenceScope({ steps: [], results: new Map(), input: big, executionId: 'e' });

  it('lets the largest input through that a request may bring', () => {
    expect(resolveReferences({ all: '${input}' }, large)).toEqual({ all: big });
  });

  it('charges for what it walks through, to a shared budget as well', () => {
    const shared = new Meter({ ...DEFAULT_EVALUATION_LIMITS, maxSteps: 18_000 });
    const charge = (params: JsonValue): number => {
      const before = shared.remainingSteps;
      resolveReferences(params, large, { meter: shared });
      return before - shared.remainingSteps;
    };
    expect(charge(Array.from({ length: 500 }, () => 1))).toBeGreaterThanOrEqual(500);
    expect(charge(`\${input.0}${'x'.repeat(8000)}`)).toBeGreaterThanOrEqual(500);
    expect(charge({ all: '${input}' })).toBeGreaterThanOrEqual(100_000 / 16);
    expect(charge({ all: '${input}' })).toBeGreaterThanOrEqual(100_000 / 16);
    expect(() => charge({ all: '${input}' })).toThrow(
      expect.objectContaining({ name: 'UnresolvedReferenceError', reason: 'too_large' }),
    );
  });

  it('writes no large value into text again and again', () => {
    const text = Array.from({ length: 100 }, () => '${input}').join(' ');
    expect(() => resolveReferences({ text }, large)).toThrow(
      expect.objectContaining({ reason: 'too_large' }),
    );
  });
});

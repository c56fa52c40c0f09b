import { describe, expect, it } from '@jest/globals';

import { DEFAULT_EVALUATION_LIMITS, Meter } from '../../common/expression/meter.js';
import { stepFailed } from '../../common/provider-result.js';
import { referenceScope } from './reference-scope.js';
import { evaluateWhen, parseWhen } from './when.js';

const scope = referenceScope({
  steps: [{ id: 'a' }],
  results: new Map([
    ['a', { status: 'error', result: stepFailed('plugin.threw', 'oops') }],
  ] as const),
  input: { x: 4, name: 'Ada', list: [], empty: '' },
  executionId: 'e',
});

describe('evaluateWhen', () => {
  it.each<[string, boolean]>([
    ['${steps.a.success} == false && ${input.x} > 3', true],
    ['steps.a.success == true || input.x > 4', false],
    ['!steps.a.success', true],
    ['${steps.0.error.code} == "plugin.threw"', true],
    ['${input.name} != "Bob"', true],
    ['${input.nope ?? false}', false],
    ['(input.nope ?? 5) >= input.x', true],
    ['input.list', true],
    ['input.empty', false],
  ])('%s', (text, expected) => {
    expect(evaluateWhen(parseWhen(text), scope)).toBe(expected);
  });

  it('fails on what is missing or has no order', () => {
    expect(() => evaluateWhen(parseWhen('${input.nope} == null'), scope)).toThrow(/input\.nope/);
    expect(() => evaluateWhen(parseWhen('input.name > 3'), scope)).toThrow(/text and a number/);
  });

  it('takes its steps from a budget that it shares', () => {
    const shared = new Meter({ ...DEFAULT_EVALUATION_LIMITS, maxSteps: 1000 });
    const when = parseWhen('input.x == 4');
    expect(evaluateWhen(when, scope, shared)).toBe(true);
    const each = 1000 - shared.remainingSteps;
    expect(each).toBeGreaterThan(0);
    for (let i = 1; i < Math.floor(1000 / each); i++) evaluateWhen(when, scope, shared);
    expect(() => evaluateWhen(when, scope, shared)).toThrow(
      expect.objectContaining({ reason: 'steps' }),
    );
    expect(evaluateWhen(when, scope)).toBe(true);
  });

  it('has no functions, conditions or code', () => {
    for (const text of [
      'length(input.name) > 1',
      'input.x ? 1 : 2',
      'input.x; 1',
      'input.x = 1',
      '`x`',
    ]) {
      expect(() => parseWhen(text)).toThrow(expect.objectContaining({ name: 'ExpressionError' }));
    }
  });
});

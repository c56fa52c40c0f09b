import { describe, expect, it } from '@jest/globals';

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

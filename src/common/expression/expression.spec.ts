import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../json.js';
import { evaluateExpression } from './evaluate.js';
import { ExpressionError } from './expression-error.js';
import { EXPRESSION_FUNCTIONS } from './functions.js';
import { Meter } from './meter.js';
import { parseExpression } from './parse-expression.js';
import type { ParseOptions } from './parse-expression.js';
import { scopeOf } from './read-path.js';

const input: JsonValue = {
  name: 'Ada',
  count: 3,
  none: null,
  'odd key': { 'a.b': [10, 20, { deep: true }] },
  list: ['x', 'y'],
  'user-id': 'u1',
};
const scope = scopeOf({
  input,
  steps: { 'fetch-1': { output: { '2fa': 'yes' } }, '0': { success: true } },
});

function evaluate(source: string, options: ParseOptions = {}): unknown {
  return evaluateExpression(parseExpression(source, options), scope);
}

function fault(run: () => unknown): ExpressionError {
  try {
    run();
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
  throw new Error('expected an ExpressionError');
}

describe('parseExpression and evaluateExpression', () => {
  it.each<[string, unknown]>([
    ['input.name', 'Ada'],
    ['input["odd key"]["a.b"][2].deep', true],
    ["input['odd key']['a.b'][0]", 10],
    ['input.list.1', 'y'],
    ['input.user-id', 'u1'],
    ['steps.fetch-1.output.2fa', 'yes'],
    ['steps.0.success', true],
    ['-1.5e2', -150],
    ['"a\\u0062\\n\\"c"', 'ab\n"c'],
    ['\'it is "so"\'', 'it is "so"'],
    ['null', null],
    ['input.none', null],
    ['input.nope ?? "d"', 'd'],
    ['input.none ?? input.nope.at.all ?? 7', 7],
    ['(input.nope ?? 0) > 3', false],
    ['1 < 2 == true', true],
    ['true || false && false', true],
    ['(true || false) && false', false],
    ['!input.none && !false', true],
    ['!(1 == 2)', true],
    ['"a" < "b"', true],
    ['input.list == input.list', true],
    ['1 == "1"', false],
    ['null == false', false],
    ['input.name || "x"', 'Ada'],
    ['false && input.nope', false],
    ['true || input.nope', true],
  ])('%s', (source, expected) => {
    expect(evaluate(source)).toEqual(expected);
  });

  it.each<[string, number, RegExp]>([
    ['', 0, /empty/],
    ['input.', 5, /name is missing/],
    ['input.a b', 8, /expected an operator/],
    ['a = 1', 2, /"=="/],
    ['a + 1', 2, /arithmetic/],
    ['1 - 2', 2, /arithmetic/],
    ['"open', 0, /closing quote/],
    ['input[x]', 6, /quoted name/],
    ['input[-1]', 6, /whole number/],
    ['input[1.5]', 6, /whole number/],
    ['01', 0, /not a number/],
    ['1e999', 0, /out of range/],
    ['12abc', 0, /not a number/],
    ['input.__proto__.x', 5, /not allowed/],
    ['input["constructor"]', 6, /not allowed/],
    ['prototype', 0, /not allowed/],
    ['input.a ?? 0 > 3', 8, /parentheses/],
    ['1 == input.a ?? 0', 13, /parentheses/],
    ['length(input.a)', 0, /not allowed here/],
    ['a ? 1 : 2', 2, /not allowed here/],
    ['${input.a}', 0, /expected a value/],
    ['(1', 2, /expected "\)"/],
    ['"\\x41"', 1, /escape/],
    ['a ; b', 2, /unexpected ";"/],
  ])('refuses %j', (source, offset, message) => {
    const error = fault(() => parseExpression(source));
    expect(error.reason).toBe('syntax');
    expect(error.message).toMatch(message);
    expect(error.offset).toBe(offset);
  });

  it('takes references as operands where allowed, and refuses quoted ones', () => {
    const options = { dollarBraces: true };
    expect(evaluate('${steps.0.success} == true && ${input.count} >= 3', options)).toBe(true);
    expect(evaluate('${input.nope ?? 0} > 3', options)).toBe(false);
    expect(fault(() => parseExpression('"${input.a}" == "x"', options)).message).toMatch(
      /without quotes/,
    );
  });

  it('keeps a reference to paths, literals and ??', () => {
    expect(evaluate('input.nope ?? "d"', { operators: 'fallback' })).toBe('d');
    expect(fault(() => parseExpression('input.a > 1', { operators: 'fallback' })).message).toMatch(
      /reference/,
    );
    expect(fault(() => parseExpression('!input.a', { operators: 'fallback' })).message).toMatch(
      /reference/,
    );
  });

  it('says which path is missing, and where', () => {
    const error = fault(() => evaluate('true && input.nope.x == 1'));
    expect(error).toMatchObject({
      reason: 'missing',
      offset: 8,
      message: '"input.nope.x" is missing',
    });
    // `&&` and `||` forgive nothing on either side.
    expect(fault(() => evaluate('input.nope || 1')).reason).toBe('missing');
    expect(fault(() => evaluate('input.nope && 1')).reason).toBe('missing');
    // `??` forgives the path to its left, not a comparison of what is missing.
    expect(fault(() => evaluate('(input.nope == 1) ?? 2')).reason).toBe('missing');
  });

  it('names both types when an order makes no sense', () => {
    const error = fault(() => evaluate('input.name < 3'));
    expect(error).toMatchObject({ reason: 'type', offset: 11 });
    expect(error.message).toMatch(/not text and a number/);
  });

  it('reads own properties only', () => {
    for (const path of [
      'input.toString',
      'input.list.length',
      'input.name.length',
      'hasOwnProperty',
    ]) {
      expect(fault(() => evaluate(path)).reason).toBe('missing');
    }
  });

  it('lists the paths with their text', () => {
    const { paths } = parseExpression('input.a[0] ?? steps.x["k"]');
    expect(paths.map(({ root, text }) => [root, text])).toEqual([
      ['input', 'input.a[0]'],
      ['steps', 'steps.x["k"]'],
    ]);
  });

  it('has limits on length, nesting and nodes', () => {
    expect(fault(() => parseExpression('a'.repeat(8193))).message).toMatch(/8192/);
    expect(fault(() => parseExpression('('.repeat(4000))).message).toMatch(/nested/);
    expect(fault(() => parseExpression('!'.repeat(4000) + '1')).message).toMatch(/nested/);
    expect(fault(() => parseExpression(Array(2000).fill('1').join('||'))).message).toMatch(
      /too long/,
    );
    expect(evaluate(Array(400).fill('false').join('||'))).toBe(false);
  });

  it('stops at its budget of steps', () => {
    const big = Array.from({ length: 500 }, (_, i) => i);
    const run = (): unknown =>
      evaluateExpression(
        parseExpression('input == input || input != input'),
        scopeOf({ input: [...big] }),
        {
          meter: new Meter({ maxSteps: 10, maxSize: 100 }),
        },
      );
    expect(run()).toBe(true);
    const different = scopeOf({ a: big, b: [...big] });
    const meter = new Meter({ maxSteps: 100, maxSize: 100 });
    expect(
      fault(() => evaluateExpression(parseExpression('a == b'), different, { meter })).reason,
    ).toBe('steps');
  });

  it('chooses and calls with functions', () => {
    const functions = EXPRESSION_FUNCTIONS;
    expect(evaluate('input.count > 2 ? upper(input.name) : "no"', { functions })).toBe('ADA');
    expect(evaluate('false ? 1 : true ? 2 : 3', { functions })).toBe(2);
    expect(evaluate('first(values(input["odd key"]))[2].deep', { functions })).toBe(true);
    expect(fault(() => parseExpression('eval("1")', { functions })).message).toMatch(
      /no function "eval"/,
    );
    expect(fault(() => parseExpression('constructor("1")', { functions })).message).toMatch(
      /no function/,
    );
    expect(fault(() => parseExpression('upper()', { functions })).message).toMatch(/upper\(text\)/);
  });
});

import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../json.js';
import { evaluateExpression } from './evaluate.js';
import { ExpressionError } from './expression-error.js';
import { EXPRESSION_FUNCTIONS } from './functions.js';
import { Meter } from './meter.js';
import { parseExpression } from './parse-expression.js';
import { scopeOf } from './read-path.js';

const input: JsonValue = {
  list: [3, 1, 2],
  words: ['a', null, 'b'],
  person: { name: 'Ada', age: 36, city: null },
  empty: {},
  text: ' Grüße, $& ',
  accented: 'é€😀',
  lone: '\ud800',
  json: '{"a":[1]}',
  bad: '{"__proto__":{"x":1}}',
};

function evaluate(source: string, meter = new Meter()): unknown {
  const expression = parseExpression(source, { functions: EXPRESSION_FUNCTIONS });
  return evaluateExpression(expression, scopeOf({ input }), { missing: 'allow', meter });
}

describe('EXPRESSION_FUNCTIONS', () => {
  it.each<[string, unknown]>([
    ['coalesce(input.nope, null, 0, 1)', 0],
    ['coalesce(input.nope)', null],
    ['default("", "x")', 'x'],
    ['default(input.empty, "x")', 'x'],
    ['default(0, 5)', 0],
    ['length("abc")', 3],
    ['length(input.list)', 3],
    ['length(input.person)', 3],
    ['upper("aß")', 'ASS'],
    ['lower("ÀB")', 'àb'],
    ['trim(input.text)', 'Grüße, $&'],
    ['join(input.words, "-")', 'a--b'],
    ['join(input.list)', '3,1,2'],
    ['split("a,b,,c", ",")', ['a', 'b', '', 'c']],
    ['split("a.b", ".")', ['a', 'b']],
    ['split(input.accented, "")', ['é', '€', '😀']],
    ['replace("a.b.c", ".", "$&")', 'a$&b$&c'],
    ['contains("haystack", "st")', true],
    ['contains(input.list, 2)', true],
    ['contains(input.list, "2")', false],
    ['startsWith("abc", "ab") && endsWith("abc", "bc")', true],
    ['concat("n=", 1, null, input.list)', 'n=1[3,1,2]'],
    ['concat(input.list, input.words)', [3, 1, 2, 'a', null, 'b']],
    ['keys(input.person)', ['name', 'age', 'city']],
    ['values(input.person)', ['Ada', 36, null]],
    ['entries(pick(input.person, "age"))', [{ key: 'age', value: 36 }]],
    ['first(input.list)', 3],
    ['last(input.list)', 2],
    ['first(keys(input.empty))', null],
    ['slice("abcdef", 1, -1)', 'bcde'],
    ['slice(input.list, -2)', [1, 2]],
    ['json(input.person)', '{"name":"Ada","age":36,"city":null}'],
    ['parseJson(input.json).a[0]', 1],
    ['number(" 4.50 ")', 4.5],
    ['number(true)', 1],
    ['string(1.5)', '1.5'],
    ['string(null)', ''],
    ['string(input.list)', '[3,1,2]'],
    ['boolean("FALSE")', false],
    ['boolean(1)', true],
    ['boolean(input.nope)', false],
    ['round(2.5)', 3],
    ['round(1.005, 2)', 1.01],
    ['round(-1.5)', -1],
    ['round(1e-9, 2)', 0],
    ['floor(-1.5)', -2],
    ['ceil(1.2)', 2],
    ['abs(-3)', 3],
    ['min(input.list)', 1],
    ['max(1, 5, 3)', 5],
    ['max(slice(input.list, 5))', null],
    ['sum(input.list)', 6],
    ['sum(1, 2, 3, 4)', 10],
    ['add(1, multiply(2, subtract(5, divide(4, 2))))', 7],
    [
      'merge(input.person, input.nope, pick(input.person, "name"))',
      { name: 'Ada', age: 36, city: null },
    ],
    ['omit(input.person, "age", "city")', { name: 'Ada' }],
    ['pick(input.person, split("name,age", ","))', { name: 'Ada', age: 36 }],
    ['base64("é")', 'w6k='],
    ['urlEncode("a b/ü?")', 'a%20b%2F%C3%BC%3F'],
  ])('%s', (source, expected) => {
    expect(evaluate(source)).toEqual(expected);
  });

  it.each<[string, RegExp]>([
    ['upper(1)', /upper: argument 1 must be text, got a number/],
    ['upper(input.nope)', /got nothing/],
    ['number("1e")', /"1e" is not a number/],
    ['number("0x10")', /not a number/],
    ['number("")', /not a number/],
    ['number("Infinity")', /not a number/],
    ['number("1e999")', /finite/],
    ['divide(1, 0)', /finite/],
    ['boolean("maybe")', /true or false/],
    ['round(1, 99)', /0 to 15/],
    ['slice("a", 0.5)', /whole number/],
    ['parseJson(input.bad)', /__proto__/],
    ['parseJson("{")', /not valid JSON/],
    ['replace("a", "", "b")', /not empty/],
    ['urlEncode(input.lone)', /well-formed/],
    ['sum(input.words)', /expects numbers/],
    ['pick(input.person, 1)', /expects names/],
  ])('refuses %s', (source, message) => {
    expect(() => evaluate(source)).toThrow(ExpressionError);
    expect(() => evaluate(source)).toThrow(message);
  });

  it('charges growth before it happens', () => {
    const text = 'a'.repeat(4000);
    const source = `replace("${text}", "a", replace("${text}", "a", "bbbbbbbb"))`.slice(0, 8192);
    expect(source.length).toBeLessThan(8193);
    // 4,000 times 32,000 characters: refused, not made.
    expect(() => evaluate(source)).toThrow(/too large/);
    const joined = 'join(split(input.text, ""), input.text)';
    expect(() => evaluate(joined, new Meter({ maxSteps: 1000, maxSize: 100 }))).toThrow(
      /too large/,
    );
  });

  it('is documented: each usage names its function', () => {
    expect(EXPRESSION_FUNCTIONS.size).toBe(40);
    for (const [name, listed] of EXPRESSION_FUNCTIONS) {
      expect(listed.usage.startsWith(`${name}(`)).toBe(true);
      expect(listed.description).toMatch(/\S$/);
    }
  });
});

import { describe, expect, it } from '@jest/globals';

import { ExpressionError } from './expression-error.js';
import { evaluateInterpolation, parseInterpolation } from './interpolation.js';
import type { InterpolationSyntax } from './interpolation.js';
import { Meter } from './meter.js';
import { scopeOf } from './read-path.js';

const DOLLAR: InterpolationSyntax = {
  open: '${',
  close: '}',
  escape: '$${',
  operators: 'fallback',
};
const CURLY: InterpolationSyntax = { open: '{{', close: '}}' };
const scope = scopeOf({ a: 1, list: [1, 'x'], none: null, 'a}b': 0, o: { 'x}y': 'odd' } });

function render(text: string, syntax = DOLLAR): unknown {
  const parsed = parseInterpolation(text, syntax);
  return parsed === null ? text : evaluateInterpolation(parsed, scope);
}

describe('interpolation', () => {
  it.each<[string, unknown]>([
    ['plain $ {text}', 'plain $ {text}'],
    ['${a}', 1],
    ['${ list }', [1, 'x']],
    ['${none}', null],
    [' ${a}', ' 1'],
    ['${a}${a}', '11'],
    ['<${none}>', '<>'],
    ['${list}!', '[1,"x"]!'],
    ['$${a}', '${a}'],
    ['$$${a}', '$${a}'],
    ['$${a} ${a}', '${a} 1'],
    ['${a}$${', '1${'],
    ['${o["x}y"]}', 'odd'],
    ['${nope ?? "}"}', '}'],
    ['${"$"}${a}', '$1'],
  ])('%s', (text, expected) => {
    expect(render(text)).toEqual(expected);
  });

  it('knows other brackets', () => {
    expect(render('{{ a }} and {{ list }}', CURLY)).toBe('1 and [1,"x"]');
    expect(render('{{ a == 1 }}', CURLY)).toBe(true);
    expect(render('{{ "{{" }}', CURLY)).toBe('{{');
  });

  it.each<[string, number, RegExp]>([
    ['ab ${a', 3, /without "}"; write "\$\$\{"/],
    ['ab ${}', 5, /empty/],
    ['ab ${a +}', 7, /arithmetic/],
    ['ab ${"x}', 3, /without "}"/],
    ['${a} ${b ! }', 9, /expected an operator/],
  ])('refuses %j', (text, offset, message) => {
    let thrown: unknown;
    try {
      render(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ExpressionError);
    expect((thrown as ExpressionError).message).toMatch(message);
    expect((thrown as ExpressionError).offset).toBe(offset);
  });

  it('names the expression that failed, and where it stands', () => {
    expect(() => render('Dear ${ nope.x },')).toThrow(
      expect.objectContaining({ reason: 'missing', offset: 8, within: '${ nope.x }' }),
    );
  });

  it('charges the text that it makes', () => {
    const parsed = parseInterpolation('${s}'.repeat(100), DOLLAR);
    const long = scopeOf({ s: 'x'.repeat(1000) });
    if (parsed === null) throw new Error('expected expressions');
    const meter = new Meter({ maxSteps: 100_000, maxSize: 50_000 });
    expect(() => evaluateInterpolation(parsed, long, { meter })).toThrow(/too large/);
  });
});

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { JsonValue } from '../json.js';
import { evaluateExpression } from './evaluate.js';
import { ExpressionError } from './expression-error.js';
import { EXPRESSION_FUNCTIONS } from './functions.js';
import { parseInterpolation } from './interpolation.js';
import { Meter } from './meter.js';
import { parseExpression } from './parse-expression.js';
import { scopeOf } from './read-path.js';
import { equalJson, estimateJsonSize, fitsInBytes } from './values.js';

const OPTIONS = { functions: EXPRESSION_FUNCTIONS, dollarBraces: true };

/** Texts made of pieces of the grammar: they get far deeper into the parser than random ones. */
const almostExpression = fc
  .array(
    fc.constantFrom(
      ...[
        'input',
        '.a',
        '[0]',
        '["k"]',
        '.b',
        '(',
        ')',
        ',',
        '??',
        '&&',
        '||',
        '==',
        '<',
        '!',
        '?',
        ':',
        '${',
        '}',
      ],
      ...[
        '1',
        '-2.5',
        '"x"',
        "'y'",
        'true',
        'null',
        ' ',
        'upper(',
        'merge(',
        'split(',
        'replace(',
        'json(',
      ],
      ...[
        'concat(',
        'slice(',
        'parseJson(',
        'round(',
        'keys(',
        '.__proto__',
        '\\',
        '"',
        '.',
        '1e9',
      ],
    ),
    { maxLength: 40 },
  )
  .map((pieces) => pieces.join(''));

/** Well-formed by construction: these are evaluated. */
const expression: fc.Arbitrary<string> = fc.letrec<{ any: string }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(
      'input',
      'input.a',
      'input.b[0]',
      '1',
      '-0',
      '2.5',
      '"t"',
      '""',
      'null',
      'true',
      '17',
    ),
    fc
      .tuple(tie('any'), fc.constantFrom('==', '!=', '<', '>=', '&&', '||', '??'), tie('any'))
      .map(([left, operator, right]) => `(${left}) ${operator} (${right})`),
    fc.tuple(tie('any'), tie('any'), tie('any')).map(([a, b, c]) => `(${a} ) ? (${b}) : (${c})`),
    fc
      .tuple(
        fc.constantFrom(...EXPRESSION_FUNCTIONS.keys()),
        fc.array(tie('any'), { minLength: 1, maxLength: 3 }),
      )
      .map(([name, args]) => `${name}(${args.join(', ')})`),
  ),
})).any;

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<JsonValue>;

function onlyExpressionErrors(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
  }
}

describe('expressions under random input', () => {
  it('parsing throws nothing but ExpressionError, its offset inside the source', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), almostExpression), (source) => {
        try {
          parseExpression(source, OPTIONS);
        } catch (error) {
          if (!(error instanceof ExpressionError)) throw error;
          expect(error.offset).toBeGreaterThanOrEqual(0);
          expect(error.offset).toBeLessThanOrEqual(source.length);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('interpolation throws nothing but ExpressionError', () => {
    fc.assert(
      fc.property(almostExpression, (source) => {
        onlyExpressionErrors(() =>
          parseInterpolation(source, { open: '${', close: '}', escape: '$${' }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('evaluating throws nothing but ExpressionError, keeps to its budget and yields JSON', () => {
    const maxSize = 20_000;
    fc.assert(
      fc.property(expression, json, (source, input) => {
        onlyExpressionErrors(() => {
          const parsed = parseExpression(source, OPTIONS);
          const meter = new Meter({ maxSteps: 5000, maxSize });
          const value = evaluateExpression(parsed, scopeOf({ input }), { missing: 'allow', meter });
          if (value === undefined) return;
          const text = JSON.stringify(value);
          expect(equalJson(JSON.parse(text) as JsonValue, value, new Meter())).toBe(true);
          // New text within the budget, plus what was handed on from the input.
          const given = estimateJsonSize(input, Infinity);
          expect(estimateJsonSize(value, Infinity)).toBeLessThanOrEqual(
            6 * maxSize + 200 * given + 10_000,
          );
        });
      }),
      { numRuns: 1500 },
    );
  });

  it('compares as canonical JSON does, and sizes as JSON.stringify does', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        expect(equalJson(a, structuredClone(a), new Meter())).toBe(true);
        expect(equalJson(a, b, new Meter())).toBe(equalJson(b, a, new Meter()));
        const bytes = Buffer.byteLength(JSON.stringify(a));
        expect(fitsInBytes(a, bytes)).toBe(true);
        expect(fitsInBytes(a, bytes - 1)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

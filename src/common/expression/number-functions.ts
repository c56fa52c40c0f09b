import { parseUntrustedJson, UnsafeJsonError } from '../json.js';
import { Arguments } from './arguments.js';
import type { CallContext, Evaluated, ExpressionFunction } from './function-spec.js';
import { typeName, writeJson } from './values.js';

const MANY = 50;
/** Longer texts hold no number that a double keeps. */
const MAX_NUMBER_CHARACTERS = 64;
/** Of "false". */
const MAX_BOOLEAN_CHARACTERS = 5;

/** Arithmetic, and the ways from one type to another. */
export const NUMBER_FUNCTIONS: readonly ExpressionFunction[] = [
  {
    name: 'number',
    minArgs: 1,
    maxArgs: 1,
    usage: 'number(value)',
    description: 'A number from decimal text; true is 1 and false is 0.',
    call: ([value], context) => toNumber(value, context),
  },
  {
    name: 'boolean',
    minArgs: 1,
    maxArgs: 1,
    usage: 'boolean(value)',
    description:
      'True or false from "true", "false", 1, 0 or a boolean; missing and null are false.',
    call: ([value], context) => toBoolean(value, context),
  },
  {
    name: 'json',
    minArgs: 1,
    maxArgs: 1,
    usage: 'json(value)',
    description: 'The value as JSON text.',
    call: ([value], { meter }) => writeJson(value ?? null, meter),
  },
  {
    name: 'parseJson',
    minArgs: 1,
    maxArgs: 1,
    usage: 'parseJson(text)',
    description:
      'The value of a JSON text; at most 64 levels, and no member that reaches a prototype.',
    call: (args, context) => {
      const text = new Arguments(args, context).text(0);
      context.meter.convert(text.length * 2);
      context.meter.grow(text.length);
      try {
        return parseUntrustedJson(text);
      } catch (error) {
        if (error instanceof UnsafeJsonError) throw context.error(error.message);
        throw error;
      }
    },
  },
  {
    name: 'round',
    minArgs: 1,
    maxArgs: 2,
    usage: 'round(number, digits?)',
    description:
      'The nearest number with so many digits after the point (0 to 15, default 0); halves go up.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const digits = given.optionalInteger(1, 0);
      if (digits < 0 || digits > 15) throw given.wrong(1, 'from 0 to 15');
      return roundTo(given.number(0), digits);
    },
  },
  rounding('floor', 'The greatest whole number that is not above it.', Math.floor),
  rounding('ceil', 'The least whole number that is not below it.', Math.ceil),
  rounding('abs', 'The number without its sign.', Math.abs),
  extreme(
    'min',
    'The least of the numbers, given one by one or as one list; null when there are none.',
    Math.min,
  ),
  extreme(
    'max',
    'The greatest of the numbers, given one by one or as one list; null when there are none.',
    Math.max,
  ),
  {
    name: 'sum',
    minArgs: 1,
    maxArgs: MANY,
    usage: 'sum(numbers)',
    description: 'The sum of the numbers, given one by one or as one list; 0 when there are none.',
    call: (args, context) => {
      const numbers = new Arguments(args, context).numbers();
      return finite(
        numbers.reduce((sum, value) => sum + value, 0),
        context,
      );
    },
  },
  arithmetic('add', 'a + b', (a, b) => a + b),
  arithmetic('subtract', 'a - b', (a, b) => a - b),
  arithmetic('multiply', 'a * b', (a, b) => a * b),
  arithmetic('divide', 'a / b; dividing by 0 is an error', (a, b) => a / b),
];

function rounding(
  name: string,
  description: string,
  round: (value: number) => number,
): ExpressionFunction {
  return {
    name,
    minArgs: 1,
    maxArgs: 1,
    usage: `${name}(number)`,
    description,
    call: (args, context) => round(new Arguments(args, context).number(0)),
  };
}

function extreme(
  name: string,
  description: string,
  choose: (a: number, b: number) => number,
): ExpressionFunction {
  return {
    name,
    minArgs: 1,
    maxArgs: MANY,
    usage: `${name}(numbers)`,
    description,
    call: (args, context) => {
      const numbers = new Arguments(args, context).numbers();
      return numbers.length === 0 ? null : numbers.reduce((a, b) => choose(a, b));
    },
  };
}

function arithmetic(
  name: string,
  description: string,
  calculate: (a: number, b: number) => number,
): ExpressionFunction {
  return {
    name,
    minArgs: 2,
    maxArgs: 2,
    usage: `${name}(a, b)`,
    description,
    call: (args, context) => {
      const given = new Arguments(args, context);
      return finite(calculate(given.number(0), given.number(1)), context);
    },
  };
}

/** JSON has no infinity and no NaN: they would turn into null on the way. */
function finite(value: number, context: CallContext): number {
  if (!Number.isFinite(value)) throw context.error('the result is not a finite number');
  return value;
}

/** By decimal shifting in text, so that 1.005 to 2 digits is 1.01 and not 1. */
function roundTo(value: number, digits: number): number {
  const text = String(value);
  if (text.includes('e')) return Math.abs(value) < 1 ? 0 : value;
  return Number(`${String(Math.round(Number(`${text}e${String(digits)}`)))}e-${String(digits)}`);
}

function toNumber(value: Evaluated, context: CallContext): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string') throw context.error(`can't make a number of ${typeName(value)}`);
  const text = value.length <= MAX_NUMBER_CHARACTERS ? value.trim() : '';
  if (!/^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)) {
    throw context.error(`${JSON.stringify(value.slice(0, 40))} is not a number`);
  }
  return finite(Number(text), context);
}

function toBoolean(value: Evaluated, context: CallContext): boolean {
  if (typeof value === 'boolean') return value;
  if (value === undefined || value === null) return false;
  const isWord = typeof value === 'string' && value.length <= MAX_BOOLEAN_CHARACTERS;
  const known = BOOLEAN_WORDS.get(isWord ? value.toLowerCase() : value);
  if (known === undefined) throw context.error(`can't tell true or false from ${typeName(value)}`);
  return known;
}

const BOOLEAN_WORDS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
  [1, true],
  [0, false],
]);

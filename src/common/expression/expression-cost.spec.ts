import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../json.js';
import { evaluateExpression } from './evaluate.js';
import { ExpressionError } from './expression-error.js';
import { EXPRESSION_FUNCTIONS } from './functions.js';
import { countMembers, keysOf } from './members.js';
import { DEFAULT_EVALUATION_LIMITS, Meter } from './meter.js';
import { parseExpression } from './parse-expression.js';
import { scopeOf } from './read-path.js';
import { estimateJsonSize, fitsInBytes } from './values.js';

const ITEMS = 500;
const ENDLESS = { maxSteps: Number.MAX_SAFE_INTEGER, maxSize: 2_000_000 };
/** One step stands for at most so many touched members, items or characters. */
const TOUCHED_PER_STEP = { elements: 16, characters: 256 };

/** Values that count how many of their members and items anybody has touched. */
class Watched {
  touched = 0;
  readonly values: Readonly<Record<string, JsonValue>>;

  constructor() {
    const items = Array.from({ length: ITEMS }, (_, i) => i);
    const members = (): [string, JsonValue][] => items.map((i) => [`k${String(i)}`, i]);
    this.values = {
      list: this.watch(items),
      same: this.watch([...items]),
      object: this.watch(Object.fromEntries(members())),
      twin: this.watch(Object.fromEntries(members())),
      words: this.watch(items.map(String)),
      text: 'ab,'.repeat(20_000),
      json: `[${'1,'.repeat(20_000)}1]`,
    };
    for (const each of [this.values['object'], this.values['twin']])
      countMembers(each as Record<string, JsonValue>);
    this.touched = 0;
  }

  private watch<T extends object>(value: T): T {
    const length = Object.keys(value).length;
    return new Proxy(value, {
      get: (target, key, receiver) => {
        if (key !== 'length') this.touched++;
        return Reflect.get(target, key, receiver) as unknown;
      },
      ownKeys: (target) => {
        this.touched += length;
        return Reflect.ownKeys(target);
      },
    });
  }
}

/** How many steps an expression took, and how much it touched; whether it fails is beside the point. */
function cost(source: string): { steps: number; touched: number } {
  const watched = new Watched();
  const meter = new Meter(ENDLESS);
  const expression = parseExpression(source, { functions: EXPRESSION_FUNCTIONS });
  try {
    evaluateExpression(expression, scopeOf(watched.values), { missing: 'allow', meter });
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
  }
  return { steps: ENDLESS.maxSteps - meter.remainingSteps, touched: watched.touched };
}

function callsOf(name: string): string[] {
  const args = [...'list same object twin words text json'.split(' '), '1', '"k1"', '","'];
  const { minArgs, maxArgs } = EXPRESSION_FUNCTIONS.get(name) ?? { minArgs: 0, maxArgs: 0 };
  const lists = [
    ...args.map((a) => [a]),
    ...args.flatMap((a) => args.map((b) => [a, b])),
    ...args.map((a) => [a, '","', 'text']),
  ];
  return lists
    .filter(({ length }) => length >= minArgs && length <= maxArgs)
    .map((given) => `${name}(${given.join(', ')})`);
}

const SOME_STEPS = 20;

describe('the cost of expressions', () => {
  it.each([...EXPRESSION_FUNCTIONS.keys()])('%s charges for all that it touches', (name) => {
    const uncharged = callsOf(name).filter((source) => {
      const { steps, touched } = cost(source);
      return steps * TOUCHED_PER_STEP.elements < touched - SOME_STEPS;
    });
    expect(uncharged).toEqual([]);
  });

  it.each([
    'list == same',
    'list != same',
    'object == twin',
    'object != twin',
    'object == same',
    'object && twin || list',
    '!object',
    'object ?? twin',
    'list < same',
    'object ? list : same',
  ])('%s charges for all that it touches', (source) => {
    const { steps, touched } = cost(source);
    expect(steps * TOUCHED_PER_STEP.elements).toBeGreaterThanOrEqual(touched - SOME_STEPS);
  });

  it.each([
    'upper(text)',
    'trim(text)',
    'split(text, "")',
    'split(text, ",")',
    'replace(text, "a", "b")',
    'contains(text, "x")',
    'base64(text)',
    'urlEncode(text)',
    'concat(text, text)',
    'parseJson(json)',
    'json(text)',
    'text < concat(text)',
  ])('%s charges for the text', (source) => {
    const characters = 40_000;
    expect(cost(source).steps * TOUCHED_PER_STEP.characters).toBeGreaterThanOrEqual(characters);
  });

  it('reads neither a text nor an object to tell whether it is true, empty or a boolean', () => {
    for (const source of ['!object', 'default(object, 1)', 'boolean(text)', 'number(text)']) {
      expect(cost(source).touched).toBe(0);
    }
  });

  it('charges each segment of a path', () => {
    const path = `list${'.a'.repeat(60)}`;
    expect(cost(path).steps).toBe(61);
    expect(cost(`first(list)${'.a'.repeat(60)}`).steps).toBeGreaterThan(60);
  });

  it('refuses before it compares: large objects in many comparisons', () => {
    const members = (name: string): JsonValue =>
      Object.fromEntries(Array.from({ length: 45_000 }, (_, i) => [name + String(i), i]));
    const input = { a: members('a'), b: members('b') };
    const source = Array.from({ length: 100 }, () => 'input.a == input.b').join(' || ');
    const meter = new Meter();
    const evaluate = (): unknown =>
      evaluateExpression(parseExpression(source), scopeOf({ input }), { meter });
    expect(evaluate).toThrow(expect.objectContaining({ reason: 'steps' }));
    // At most one operation past the budget, and none after that.
    expect(meter.remainingSteps).toBeGreaterThan(-45_000);
    const left = meter.remainingSteps;
    expect(evaluate).toThrow(expect.objectContaining({ reason: 'steps' }));
    expect(meter.remainingSteps).toBe(left - 1);
  });
});

describe('members', () => {
  it('are counted once: a known object is refused without a look at it', () => {
    let looks = 0;
    const object = new Proxy(
      Object.fromEntries(Array.from({ length: 100 }, (_, i) => [String(i), i])),
      {
        ownKeys: (target) => {
          looks++;
          return Reflect.ownKeys(target);
        },
      },
    );
    for (let i = 0; i < 5; i++)
      expect(() => keysOf(object, new Meter({ ...ENDLESS, maxSteps: 10 }))).toThrow(
        ExpressionError,
      );
    expect(looks).toBe(1);
  });

  it('of JSON are charged while its size is estimated', () => {
    const list = Array.from({ length: 1600 }, (_, i) => i);
    const meter = new Meter({ ...ENDLESS, maxSteps: 1000 });
    expect(fitsInBytes(list, 1_000_000, meter)).toBe(true);
    expect(meter.remainingSteps).toBe(900);
    let told = 0;
    estimateJsonSize({ a: list, b: 1 }, Infinity, (members) => (told += members));
    expect(told).toBe(1602);
  });
});

describe('a shared meter', () => {
  it('is charged by every evaluation, and ends them all', () => {
    const shared = new Meter({ ...DEFAULT_EVALUATION_LIMITS, maxSteps: 100 });
    const evaluate = (): unknown =>
      evaluateExpression(parseExpression('input == input'), scopeOf({ input: 1 }), {
        meter: new Meter(DEFAULT_EVALUATION_LIMITS, shared),
      });
    expect(evaluate()).toBe(true);
    const each = 100 - shared.remainingSteps;
    expect(each).toBeGreaterThan(0);
    for (let i = 1; i < Math.floor(100 / each); i++) evaluate();
    expect(evaluate).toThrow(expect.objectContaining({ reason: 'steps' }));
  });
});

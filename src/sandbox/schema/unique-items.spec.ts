import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../../common/json.js';
import { CompiledSchema } from './compile-schema.js';
import { findEqualItems } from './unique-items.js';

describe('uniqueItems', () => {
  it.each<[JsonValue[], { i: number; j: number } | null]>([
    [[], null],
    [[1, '1', true, 'true', null, 'null', [1], '[1]', {}, '{}'], null],
    [[0, 1, -0], { i: 2, j: 0 }],
    [['a', 'b', 'b', 'a'], { i: 2, j: 1 }],
    [[null, 1, null], { i: 2, j: 0 }],
    [[{ a: 1, b: [2] }, { a: 1 }, { b: [2], a: 1 }], { i: 2, j: 0 }],
    [
      [
        { a: 1, b: [2, 3] },
        { a: 1, b: [3, 2] },
      ],
      null,
    ],
    [
      [
        [1, 2],
        [2, 1],
        [1, 2],
      ],
      { i: 2, j: 0 },
    ],
  ])('%j', (items, expected) => {
    expect(findEqualItems(items)).toEqual(expected);
  });

  it('stands in for the keyword of ajv, wherever it occurs', () => {
    const schema = new CompiledSchema({
      properties: { rows: { items: { type: 'array', uniqueItems: true } } },
    });
    expect(schema.validate({ rows: [[1, 2], [{ x: 1 }]] }, false).ok).toBe(true);
    expect(schema.validate({ rows: [[1], [{ x: 1 }, 2, { x: 1 }]] }, false)).toEqual({
      ok: false,
      fault: 'value_invalid',
      errors: [{ pointer: '/rows/1', detail: 'items 0 and 2 must not be equal' }],
    });
    expect(new CompiledSchema({ uniqueItems: true }).validate({ 0: 1 }, false).ok).toBe(true);
    expect(new CompiledSchema({ uniqueItems: false }).validate([1, 1], false).ok).toBe(true);
    expect(new CompiledSchema({ not: { uniqueItems: true } }).validate([1, 1], false).ok).toBe(
      true,
    );
  });

  it('takes 40,000 objects without comparing them in pairs', () => {
    // Pair by pair this is some ten seconds.
    const items = Array.from({ length: 40_000 }, (_, i) => ({ id: i }));
    const began = performance.now();
    expect(new CompiledSchema({ uniqueItems: true }).validate(items, false).ok).toBe(true);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

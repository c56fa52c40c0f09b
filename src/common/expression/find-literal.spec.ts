import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { findLiteral } from './find-literal.js';

describe('findLiteral', () => {
  it('finds what split finds, for short and for long texts', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 30 });
    fc.assert(
      fc.property(
        letters,
        letters,
        fc.constantFrom(1, 40),
        fc.nat(40),
        (gap, unit, repeat, copies) => {
          const search = `a${unit}`.repeat(repeat * 5);
          const text = `${gap}${search.slice(1)}${search}`.repeat(copies % 4) + search.slice(0, -1);
          const parts = [...findLiteral(text, search)].map((at) =>
            text.slice(at, at + search.length),
          );
          expect(parts).toEqual(Array(text.split(search).length - 1).fill(search));
        },
      ),
    );
    expect([...findLiteral('aXbXX', 'X')]).toEqual([1, 3, 4]);
    expect([...findLiteral('abc', '')]).toEqual([]);
  });

  it('is quick where the native search takes a second', () => {
    const run = 'x'.repeat(5000);
    const text = 'x'.repeat(1_000_000);
    const literal = `${run}y${run}`;
    const begin = performance.now();
    expect([...findLiteral(text, literal)]).toEqual([]);
    const ours = performance.now() - begin;
    expect(text.includes(literal)).toBe(false);
    expect(ours).toBeLessThan(performance.now() - begin - ours);
  });
});

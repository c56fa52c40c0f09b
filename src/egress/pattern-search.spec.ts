import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { PatternSearch } from './pattern-search.js';

function find(patterns: string[], text: string): [number, number][] {
  const search = new PatternSearch(patterns.map((pattern) => Buffer.from(pattern, 'latin1')));
  return search.find(Buffer.from(text, 'latin1')).map(({ start, end }) => [start, end]);
}

/** Every place of every pattern, tried one by one. */
function findSlowly(patterns: string[], text: string): [number, number][] {
  const covered = new Set<number>();
  const joints = new Set<number>();
  for (const pattern of patterns) {
    for (let at = text.indexOf(pattern); at !== -1; at = text.indexOf(pattern, at + 1)) {
      for (let i = at; i < at + pattern.length; i++) covered.add(i);
      for (let i = at + 1; i < at + pattern.length; i++) joints.add(i);
    }
  }
  const spans: [number, number][] = [];
  for (let i = 0; i < text.length; i++) {
    if (!covered.has(i)) continue;
    const last = spans.at(-1);
    if (last !== undefined && last[1] === i && joints.has(i)) last[1] = i + 1;
    else spans.push([i, i + 1]);
  }
  return spans;
}

describe('PatternSearch', () => {
  it('finds patterns that contain, overlap and follow one another', () => {
    expect(find(['abcd', 'bc', 'cdef'], 'xabcdef-bc-bcbc')).toEqual([
      [1, 7],
      [8, 10],
      [11, 13],
      [13, 15],
    ]);
  });

  it('does not take the beginning of a long pattern for the pattern', () => {
    const long = 'head-'.repeat(20) + 'tail';
    expect(find([long], `${long.slice(0, -1)}! ${long}`)).toEqual([[105, 209]]);
  });

  it('covers the rest of a text that begins more long patterns than anyone has', () => {
    const patterns = Array.from({ length: 40 }, (_, i) => `${'a'.repeat(100)}${String(i)}`);
    expect(find(patterns, `b${'a'.repeat(80)}-rest`)).toEqual([[1, 86]]);
    expect(find(patterns.slice(0, 30), `b${'a'.repeat(80)}-rest`)).toEqual([]);
  });

  it('finds nothing when there is nothing to find', () => {
    expect([find([], 'text'), find(['abc'], ''), find(['abc'], 'ab')]).toEqual([[], [], []]);
  });

  it('finds what a search of every place finds, also in patterns that repeat themselves', () => {
    const unit = fc.constantFrom('a', 'b', 'ab', 'aab', 'a'.repeat(70), 'ab'.repeat(40));
    const joinedUnits = (maxLength: number) =>
      fc.array(unit, { minLength: 1, maxLength }).map((units) => units.join(''));
    fc.assert(
      fc.property(
        fc.array(joinedUnits(5), { minLength: 1, maxLength: 6 }),
        joinedUnits(20),
        (patterns, text) => {
          expect(find(patterns, text)).toEqual(findSlowly(patterns, text));
        },
      ),
      { numRuns: 500 },
    );
  });
});

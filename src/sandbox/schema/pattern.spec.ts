import { describe, expect, it } from '@jest/globals';

import { compilePattern, PatternError, weighPattern } from './pattern.js';

describe('compilePattern', () => {
  it('takes linear time for what blocks a backtracking engine', () => {
    const started = performance.now();
    expect(compilePattern('^(a|a)*$').test(`${'a'.repeat(50_000)}b`)).toBe(false);
    expect(compilePattern('^(a+)+$').test(`${'a'.repeat(50_000)}b`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it.each([
    ['^[a-z]+$', 'abc', true],
    ['^[a-z]+$', 'abC', false],
    ['b', 'abc', true],
    ['^\\/x\\u0041$', '/xA', true],
    ['^(?<year>\\d{4})$', '2026', true],
    ['^(?=.*\\d)(?!admin).{8,}$', 'passw0rd', true],
    ['^(?=.*\\d)(?!admin).{8,}$', 'password', false],
    ['^(?=.*\\d)(?!admin).{8,}$', 'admin0000', false],
    ['^(?!a|b)[a-z]$', 'b', false],
    ['^(?!a|b)[a-z]$', 'c', true],
    ['^(?=.{1,5}$)(?:\\)|[)]|x)+$', '))x', true],
  ])('%s on %s is %s', (source, text, matches) => {
    expect(compilePattern(source).test(text)).toBe(matches);
    expect(new RegExp(source).test(text)).toBe(matches);
  });

  it.each(['(a)\\1', 'a(?=b)', '(?<=a)b', '^(?!a)b|c', '^(?=a)*b', '[', '(', 'a{1001}'])(
    'refuses %s',
    (source) => {
      expect(() => compilePattern(source)).toThrow(PatternError);
    },
  );

  it('refuses what would make too many states, without making them', () => {
    const started = performance.now();
    expect(() => compilePattern('a{1000}'.repeat(500))).toThrow(/repeats too much/);
    expect(() => compilePattern(`(${'a'.repeat(500)}){1000}`)).toThrow(/repeats too much/);
    expect(() => compilePattern('a'.repeat(5_000))).toThrow(/longer than/);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it.each([
    ['abc', 3],
    ['(ab){50}', 150],
    ['a{3,10}', 10],
    ['\\p{Letter}{5}', 5],
    ['[a-z{5}]{4}', 4],
    ['a{x}', 4],
  ])('weighs %s as %d', (source, weight) => {
    expect(weighPattern(source)).toBe(weight);
  });
});

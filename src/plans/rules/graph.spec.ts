import { describe, expect, it } from '@jest/globals';

import { ancestorsOf, buildGraph, findCycles, readySteps } from './graph.js';

const step = (id: string, ...dependsOn: string[]): { id: string; dependsOn: string[] } => ({
  id,
  dependsOn,
});

describe('graph', () => {
  it('finds ancestors through others and leaves unknown ids out', () => {
    const graph = buildGraph([step('a'), step('b', 'a'), step('c', 'b', 'nope'), step('d')]);
    expect([...ancestorsOf(graph, 2)].sort()).toEqual([0, 1]);
    expect(ancestorsOf(graph, 3).size).toBe(0);
    expect(findCycles(graph)).toEqual([]);
  });

  it('names each cycle', () => {
    const graph = buildGraph([
      step('a', 'c'),
      step('b', 'a'),
      step('c', 'b'),
      step('d', 'd'),
      step('e', 'a'),
    ]);
    expect(findCycles(graph)).toEqual([[0, 2, 1], [3]]);
    expect(ancestorsOf(graph, 0).has(0)).toBe(true);
  });

  it('finds two knots that hang together', () => {
    const graph = buildGraph([step('a', 'b'), step('b', 'a', 'c'), step('c', 'd'), step('d', 'c')]);
    expect(findCycles(graph)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it('names no step in two cycles', () => {
    const graph = buildGraph([step('a', 'b', 'c'), step('b', 'a'), step('c', 'a')]);
    expect(findCycles(graph)).toEqual([[0, 1]]);
  });

  it('walks long chains without recursion', () => {
    const steps = Array.from({ length: 50_000 }, (_, i) =>
      step(`s${String(i)}`, `s${String(i + 1)}`),
    );
    expect(findCycles(buildGraph(steps))).toEqual([]);
  });

  it('gives ready steps in list order', () => {
    const steps = [step('z'), step('a', 'z'), step('b', 'z', 'x'), step('x')];
    const done = new Set(['z']);
    const ready = readySteps(steps, {
      isDone: (id) => done.has(id),
      hasBegun: (id) => done.has(id),
    });
    expect(ready.map(({ id }) => id)).toEqual(['a', 'x']);
  });
});

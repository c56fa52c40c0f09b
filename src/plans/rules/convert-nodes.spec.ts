import { describe, expect, it } from '@jest/globals';

import type { JsonObject } from '../../common/json.js';
import { convertNodes } from './convert-nodes.js';

const node = (id: string | number, more: JsonObject = {}): JsonObject => ({
  id,
  type: 'step',
  position: { x: 1, y: 2 },
  data: { label: 'shown', provider: 'logic', action: 'set', params: { values: {} }, ...more },
});

describe('nodes and edges', () => {
  it('are steps that depend on where their edges come from', () => {
    const converted = convertNodes({
      nodes: [node('a'), node(1), { id: 'c', provider: 'code', action: 'javascript' }],
      edges: [
        { id: 'e1', source: 'a', target: '1', animated: true },
        { from: 1, to: 'c' },
        { source: 'a', target: 'c' },
        { source: 'a', target: 'c' },
      ],
    });
    const fields = { provider: 'logic', action: 'set', params: { values: {} } };
    expect(converted?.problems).toEqual([]);
    expect(converted?.steps).toEqual([
      { ...fields, id: 'a', depends_on: [] },
      { ...fields, id: 'node_1', depends_on: ['a'] },
      { provider: 'code', action: 'javascript', id: 'c', depends_on: ['node_1', 'a'] },
    ]);
  });

  it('need no edges, and are nothing to a plan with steps', () => {
    expect(convertNodes({ steps: [] })).toBeNull();
    expect(convertNodes({ nodes: [node('a')] })?.steps).toMatchObject([{ depends_on: [] }]);
  });

  it.each<[string, JsonObject, [string, RegExp]]>([
    ['nodes beside steps', { nodes: [node('a')], steps: [] }, ['/nodes', /one of the two/]],
    ['nodes that are no list', { nodes: {} }, ['/nodes', /list/]],
    ['edges that are no list', { nodes: [node('a')], edges: {} }, ['/edges', /list/]],
    ['a node without id', { nodes: [{ provider: 'p' }] }, ['/nodes/0/id', /text or a number/]],
    ['an edge that is a text', { nodes: [node('a')], edges: ['a'] }, ['/edges/0', /object/]],
    [
      'an edge to nowhere',
      { nodes: [node('a')], edges: [{ source: 'a', target: 'b' }] },
      ['/edges/0/target', /no node "b"/],
    ],
    [
      'an edge without source',
      { nodes: [node('a')], edges: [{ target: 'a' }] },
      ['/edges/0/source', /missing/],
    ],
    [
      'a node that says itself what it waits for',
      { nodes: [node('a', { depends_on: [] })] },
      ['/nodes/0/data/depends_on', /draw an edge/],
    ],
  ])('%s', (_, plan, [pointer, detail]) => {
    expect(convertNodes(plan)?.problems).toEqual([
      { pointer, detail: expect.stringMatching(detail) },
    ]);
  });

  it('are where problems of their steps are told', () => {
    const converted = convertNodes({
      nodes: [node('a'), { id: 'b', provider: 'p', action: 'x' }],
      edges: [
        { source: 'b', target: 'a' },
        { source: 'a', target: 'b' },
      ],
    });
    const told = (pointer: string) => converted?.pointerOf(pointer);
    expect(told('/steps')).toBe('/nodes');
    expect(told('/steps/0')).toBe('/nodes/0');
    expect(told('/steps/0/id')).toBe('/nodes/0/id');
    expect(told('/steps/0/params/values/x')).toBe('/nodes/0/data/params/values/x');
    expect(told('/steps/1/provider')).toBe('/nodes/1/provider');
    expect(told('/steps/1/depends_on/0')).toBe('/edges/1');
    expect(told('/steps/0/depends_on')).toBe('/edges/0');
    expect(told('')).toBe('');
  });
});

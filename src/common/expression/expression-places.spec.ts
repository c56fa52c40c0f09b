import { describe, expect, it } from '@jest/globals';

import type { JsonSchema } from '../json.js';
import { SchemaPlace } from './expression-places.js';

function isExpression(schema: JsonSchema, path: (string | number)[]): boolean {
  let place = SchemaPlace.of(schema);
  for (const key of path) place = place?.child(key) ?? null;
  return place?.isExpression ?? false;
}

const marked = { type: 'string', 'x-stepwell-expression': true };

describe('SchemaPlace', () => {
  it('is null when nothing is marked', () => {
    expect(SchemaPlace.of(undefined)).toBeNull();
    expect(SchemaPlace.of(true)).toBeNull();
    expect(SchemaPlace.of({ properties: { a: { type: 'string' } } })).toBeNull();
    expect(SchemaPlace.of({ 'x-stepwell-expression': false })).toBeNull();
  });

  it('finds marks by member, item, branch and reference', () => {
    const schema: JsonSchema = {
      properties: {
        where: marked,
        plain: { type: 'string' },
        list: { prefixItems: [true], items: marked },
        either: { anyOf: [{ type: 'number' }, { allOf: [marked] }] },
        tree: { $ref: '#/$defs/tree' },
      },
      additionalProperties: { $ref: '#/$defs/a~1b' },
      $defs: {
        tree: { properties: { child: { $ref: '#/$defs/tree' }, leaf: marked } },
        'a/b': marked,
      },
    };
    expect(isExpression(schema, ['where'])).toBe(true);
    expect(isExpression(schema, ['where', 'deeper', 0])).toBe(true);
    expect(isExpression(schema, ['plain'])).toBe(false);
    expect(isExpression(schema, ['list', 0])).toBe(false);
    expect(isExpression(schema, ['list', 1])).toBe(true);
    expect(isExpression(schema, ['either'])).toBe(true);
    expect(isExpression(schema, ['tree', 'child', 'child', 'leaf'])).toBe(true);
    expect(isExpression(schema, ['other'])).toBe(true);
  });

  it('survives references that lead in a circle or nowhere', () => {
    const schema: JsonSchema = {
      $ref: '#/$defs/a',
      $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' }, c: marked },
      properties: { x: { $ref: '#/nope' }, y: { $ref: '#%' } },
    };
    expect(isExpression(schema, ['x'])).toBe(false);
    expect(isExpression(schema, ['y'])).toBe(false);
  });
});

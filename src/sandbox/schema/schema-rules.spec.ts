import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import type { JsonObject, JsonSchema } from '../../common/json.js';
import { findSchemaProblems } from './schema-rules.js';

const pointers = (schema: JsonSchema): string[] =>
  findSchemaProblems(schema).map((problem) => problem.pointer);

describe('findSchemaProblems', () => {
  it('has nothing to say about ordinary schemas', () => {
    expect(findSchemaProblems(true)).toEqual([]);
    expect(
      findSchemaProblems({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        $id: 'https://plugin.example/input',
        type: 'object',
        properties: {
          $ref: { type: 'string', pattern: '^[a-z]+$' },
          pattern: { const: { $ref: 'https://not-a-reference.example' } },
          tree: { $ref: '#/$defs/a~1b%20c' },
          named: { $ref: '#leaf' },
          self: { $ref: '#' },
        },
        patternProperties: { '^x-': true },
        default: { $ref: 'data' },
        $defs: { 'a/b c': { items: { $ref: '#/$defs/a~1b%20c' } }, leaf: { $anchor: 'leaf' } },
      }),
    ).toEqual([]);
  });

  it('accepts what zod makes of its usual string formats', () => {
    const schema = z.toJSONSchema(
      z.object({
        email: z.email(),
        host: z.hostname(),
        at: z.iso.datetime({ offset: true }),
        ip: z.union([z.ipv4(), z.ipv6(), z.cidrv6()]),
        url: z.url(),
        id: z.uuid(),
        blob: z.base64(),
        phone: z.e164(),
        map: z.record(z.string().regex(/^[a-z_]\w{0,30}$/), z.int()),
      }),
    );
    expect(findSchemaProblems(JSON.parse(JSON.stringify(schema)) as JsonObject)).toEqual([]);
  });

  it.each<[string, JsonSchema, string]>([
    ['a remote reference', { items: { $ref: 'https://evil.example/s.json' } }, '/items/$ref'],
    ['a relative reference', { $ref: 'other.json#/x' }, '/$ref'],
    ['a reference to nothing', { $ref: '#/$defs/x' }, '/$ref'],
    ['an unknown anchor', { $ref: '#x' }, '/$ref'],
    ['a reference into data', { const: { pattern: '(a)\\1' }, $ref: '#/const' }, '/$ref'],
    ['a reference into an unknown keyword', { 'x-y': { type: 'string' }, $ref: '#/x-y' }, '/$ref'],
    ['a broken fragment', { $ref: '#/%zz' }, '/$ref'],
    ['a dynamic reference', { $dynamicRef: '#x' }, '/$dynamicRef'],
    ['an asynchronous schema', { $async: true }, '/$async'],
    ['$data', { properties: { a: { minimum: { $data: '1/b' } } } }, '/properties/a/minimum'],
    ['an inner $id', { $defs: { a: { $id: 'https://a.example/' } } }, '/$defs/a/$id'],
    ['an older draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, '/$schema'],
    ['a backreference', { allOf: [{ pattern: '(a)\\1' }] }, '/allOf/0/pattern'],
    [
      'a bad property pattern',
      { patternProperties: { '(?<=a)b': true } },
      '/patternProperties/(?<=a)b',
    ],
    [
      'patterns too large together',
      { anyOf: Array.from({ length: 30 }, () => ({ pattern: 'a{1000}' })) },
      '/anyOf/20/pattern',
    ],
    ['a text where a schema should be', { not: 'x' }, '/not'],
  ])('finds %s', (_, schema, pointer) => {
    expect(pointers(schema)[0]).toBe(pointer);
  });

  it('finds keys that reach for prototypes', () => {
    const schema = JSON.parse('{"properties":{"__proto__":{"type":"string"}}}') as JsonObject;
    expect(findSchemaProblems(schema)).toEqual([
      { pointer: '', detail: 'key "__proto__" is not allowed' },
    ]);
  });

  it('finds schemas that are too large, too long or too deep', () => {
    expect(findSchemaProblems({ description: 'x'.repeat(300_000) })[0]?.detail).toContain('256 KB');
    const many = {
      properties: Object.fromEntries(
        Array.from({ length: 2_000 }, (_, i) => [`p${String(i)}`, {}]),
      ),
    };
    expect(findSchemaProblems(many)[0]?.detail).toContain('2,000');
    let deep: JsonObject = {};
    for (let i = 0; i < 10_000; i++) deep = { not: deep };
    expect(findSchemaProblems(deep)[0]?.detail).toContain('nested');
  });

  it('reports at most 50 problems', () => {
    const schema = { anyOf: Array.from({ length: 100 }, () => ({ $ref: 'x' })) };
    expect(findSchemaProblems(schema)).toHaveLength(50);
  });
});

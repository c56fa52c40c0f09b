import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  canonicalJson,
  isStorable,
  parseUntrustedJson,
  readPointer,
  toStorableJson,
  UnsafeJsonError,
  type JsonValue,
} from './json.js';

describe('parseUntrustedJson', () => {
  it('gives what JSON.parse gives for harmless texts', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        fc.pre(!/"(__proto__|constructor|prototype)":/.test(JSON.stringify(value)));
        expect(parseUntrustedJson(JSON.stringify(value))).toEqual(
          JSON.parse(JSON.stringify(value)),
        );
      }),
    );
  });

  it.each([
    ['{"a": {"__proto__": {}}}', 'forbidden_key'],
    ['[{"constructor": {"prototype": 1}}]', 'forbidden_key'],
    ['{"\\u005f_proto__": 1}', 'forbidden_key'],
    ['['.repeat(1_000_000), 'depth'],
    [`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`, 'depth'],
    [`[${'0,'.repeat(100_001)}0]`, 'keys'],
    // Counted before anything is built: there is no end to this one.
    [`{${'"a":0,'.repeat(100_001)}`, 'keys'],
    ['{', 'syntax'],
    ['', 'syntax'],
  ])('refuses %.30s', (text, reason) => {
    expect(() => parseUntrustedJson(text)).toThrow(expect.objectContaining({ reason }));
  });

  it('counts no brackets inside of texts', () => {
    expect(parseUntrustedJson(JSON.stringify('['.repeat(500) + '\\"['))).toHaveLength(503);
  });

  it('never throws anything else', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseUntrustedJson(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UnsafeJsonError);
        }
      }),
    );
  });
});

describe('toStorableJson', () => {
  it('leaves alone what a database can hold, escaped backslashes included', () => {
    for (const value of ['a\\u0000b', { 'k\\ud800': ['x'] }, 'plain', '\ud83d\ude00']) {
      expect(isStorable(value)).toBe(true);
      expect(toStorableJson(value)).toBe(JSON.stringify(value));
    }
  });

  it('replaces what it cannot, in names, too', () => {
    const value = { 'a\0': ['b\0', '\ud800', { c: '\udc00x' }] };
    expect(isStorable(value)).toBe(false);
    expect(JSON.parse(toStorableJson(value))).toEqual({
      'a\ufffd': ['b\ufffd', '\ufffd', { c: '\ufffdx' }],
    });
  });
});

describe('readPointer', () => {
  const value: JsonValue = { a: [{ 'x/y': 1, '~': 2 }], '': 3 };

  it.each([
    ['', value],
    ['/a/0/x~1y', 1],
    ['/a/0/~0', 2],
    ['/', 3],
    ['/a/00', undefined],
    ['/a/-1', undefined],
    ['/toString', undefined],
    ['/a/length', undefined],
  ])('%s', (pointer, expected) => {
    expect(readPointer(value, pointer)).toEqual(expected);
  });
});

it('canonicalJson gives equal values equal texts', () => {
  expect(canonicalJson({ b: [1, { d: 1, c: 2 }], a: null })).toBe(
    '{"a":null,"b":[1,{"c":2,"d":1}]}',
  );
});

import { describe, expect, it } from '@jest/globals';

import { findSecretsFault, hideSecretParams, secretTexts } from './secret-params.js';

const schema = {
  type: 'object',
  properties: {
    url: { type: 'string' },
    secret: { type: 'string', 'x-stepwell-secret': true },
    keys: { type: 'object', 'x-stepwell-secret': true },
  },
};

describe('secret parameters', () => {
  it('are told by their schema, and hidden wherever they hold something', () => {
    const input = { url: 'u', secret: 's1', keys: { a: ['s2', 90210], b: { c: 's3' } } };
    expect(secretTexts(schema, input)).toEqual(['s1', 's2', '90210', 's3']);
    expect(hideSecretParams(schema, input)).toEqual({ url: 'u', secret: '***', keys: '***' });
  });

  it('leave what is not there, and inputs without any, as they are', () => {
    expect(hideSecretParams(schema, { url: 'u', secret: null })).toEqual({
      url: 'u',
      secret: null,
    });
    for (const [one, input] of [
      [true, { secret: 's' }],
      [{ properties: { secret: { type: 'string' } } }, { secret: 's' }],
      [schema, 'text'],
    ] as const) {
      expect(hideSecretParams(one, input)).toBe(input);
      expect(secretTexts(one, input)).toEqual([]);
    }
  });

  it('are as many as can be looked for in a result, and no more', () => {
    const many = (count: number, chars: number): string[] =>
      Array.from({ length: count }, () => 'x'.repeat(chars));
    expect(findSecretsFault(many(100, 600))).toBeNull();
    expect(findSecretsFault(many(101, 8))).toContain('100 values');
    expect(findSecretsFault(many(1, 64 * 1024 + 1))).toContain('64 KiB');
  });
});

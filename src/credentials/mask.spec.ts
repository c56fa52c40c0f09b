import { describe, expect, it } from '@jest/globals';

import { maskSecret } from './mask.js';

describe('maskSecret', () => {
  it.each([
    ['sk-1234567890', 'sk-1***890'],
    ['123456789012', '1234***012'],
    ['12345678901', '***'],
    ['x', '***'],
    ['🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑', '🔑🔑🔑🔑***🔑🔑🔑'],
  ])('shows of %j only %j', (secret, mask) => {
    expect(maskSecret(secret)).toBe(mask);
  });
});

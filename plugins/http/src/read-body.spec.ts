import { describe, expect, it } from '@jest/globals';

import { readBody } from './read-body.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('the body of an answer', () => {
  it.each([
    ['application/json', '{"a":1}', { body: { a: 1 } }],
    ['application/problem+json; charset=utf-8', '[1]', { body: [1] }],
    ['application/json', '<html>', { body: '<html>' }],
    ['text/plain', '{"a":1}', { body: '{"a":1}' }],
    ['text/html; note=/json', 'x', { body: 'x' }],
    ['', '', { body: null }],
  ])('%s %s', (contentType, text, expected) => {
    expect(readBody(bytes(text), contentType)).toEqual(expected);
  });

  it('is base64 when it is no text, however long', () => {
    const image = new Uint8Array(200_000).fill(0xff);
    const { body, body_encoding } = readBody(image, 'image/png');
    expect(body_encoding).toBe('base64');
    expect(Buffer.from(body as string, 'base64').equals(image)).toBe(true);
  });
});

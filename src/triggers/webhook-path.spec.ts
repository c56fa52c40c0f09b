import { describe, expect, it } from '@jest/globals';

import { isWebhookPath, makeWebhookPath } from './webhook-path.js';

describe('the path of a webhook', () => {
  it.each(['orders', 'a/b/c', 'shop.v2/orders~new_-', '...', 'a..b/.well-known', 'x'.repeat(200)])(
    'may be %s',
    (path) => {
      expect(isWebhookPath(path)).toBe(true);
    },
  );

  it.each([
    '',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    'a/.',
    'a b',
    'a?b',
    'a%2Fb',
    'ä',
    'a\n',
    'a\\b',
    '*',
    'x'.repeat(201),
  ])('may not be %j', (path) => {
    expect(isWebhookPath(path)).toBe(false);
  });

  it('that nobody chose is one, and another each time', () => {
    const paths = Array.from({ length: 100 }, makeWebhookPath);
    expect(paths.filter((path) => !isWebhookPath(path) || path.length < 32)).toEqual([]);
    expect(new Set(paths).size).toBe(100);
  });
});

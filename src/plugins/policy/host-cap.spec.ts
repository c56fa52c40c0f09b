import { describe, expect, it } from '@jest/globals';

import { findHostCapProblems } from './host-cap.js';

describe('findHostCapProblems', () => {
  it.each(['a.example', '*.a.example', 'localhost', '127.0.0.1', '[::1]', 'xn--bcher-kva.example'])(
    'takes %s',
    (host) => {
      expect(findHostCapProblems([host], '/host_cap')).toEqual([]);
    },
  );

  it.each([
    '',
    '*',
    '*.',
    '*.*.example',
    'a.*.example',
    'A.example',
    'bücher.example',
    'https://a.example',
    'a.example:443',
    'a.example/x',
    'a@b',
    'a b',
    '*.127.0.0.1',
    '*.[::1]',
    '0x7f.1',
  ])('refuses %j by its place', (host) => {
    expect(findHostCapProblems(['a.example', host], '/host_cap')).toEqual([
      { pointer: '/host_cap/1', detail: expect.stringMatching(/must be a host name/) },
    ]);
  });
});

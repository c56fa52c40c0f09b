import { describe, expect, it } from '@jest/globals';

import { poolSizeFor } from './pool-size.js';

const GB = 2 ** 30;

describe('poolSizeFor', () => {
  it.each([
    ['a small container', 0.5, 2, 2],
    ['two gigabytes', 2, 2, 8],
    ['much memory, few cores', 24, 2, 16],
    ['little memory, many cores', 4, 32, 22],
    ['a large machine', 256, 64, 200],
  ])('%s', (_name, gigabytes, cores, children) => {
    expect(poolSizeFor({ memoryBytes: gigabytes * GB, cores })).toBe(children);
  });
});

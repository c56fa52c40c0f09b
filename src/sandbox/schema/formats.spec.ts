import { describe, expect, it } from '@jest/globals';

import { SCHEMA_FORMATS } from './formats.js';

describe('SCHEMA_FORMATS', () => {
  it.each<[format: string, good: string[], bad: string[]]>([
    ['date', ['2024-02-29', '2026-12-31'], ['2023-02-29', '2026-13-01', '2026-1-1', '2026-00-10']],
    [
      'time',
      ['10:00:00', '23:59:60Z', '10:00:00.5+02:00'],
      ['24:00:00', '10:00', '10:00:00+25:00'],
    ],
    [
      'date-time',
      ['2026-01-01T10:00:00Z', '2026-01-01t10:00:00'],
      ['2026-01-01 10:00:00Z', '2026-01-01'],
    ],
    ['duration', ['P1D', 'PT1H', 'P2W', 'P1Y2M3DT4H5M6S'], ['P', 'PT', 'P1DT', '1D', 'P1W2D']],
    [
      'email',
      ['a@b.example', "o'x+y@b.example"],
      ['a@', '@b', 'a..b@c.example', 'a b@c.example', '.a@b.example'],
    ],
    [
      'hostname',
      ['a.example', 'a-b.example.'],
      ['-a.example', 'a..b', '', 'a_b', `${'a'.repeat(64)}.b`],
    ],
    ['ipv4', ['127.0.0.1'], ['127.1', '256.0.0.1', '::1']],
    ['ipv6', ['::1', '::ffff:1.2.3.4'], ['1.2.3.4', 'fe80::1%eth0', ':::']],
    ['uri', ['https://a.example/x?y#z', 'urn:isbn:1'], ['/x', 'a b', 'https://a b']],
    ['uri-reference', ['/x', '../y', 'https://a.example'], ['a b', '\\\\x']],
    [
      'uuid',
      ['0193f3a0-0000-7000-8000-000000000000'],
      ['0193f3a0', 'g193f3a0-0000-7000-8000-000000000000'],
    ],
    ['json-pointer', ['', '/a~0b/~1'], ['a', '/a~2']],
  ])('%s', (format, good, bad) => {
    const check = SCHEMA_FORMATS[format];
    expect(good.map((text) => check?.(text))).toEqual(good.map(() => true));
    expect(bad.map((text) => check?.(text))).toEqual(bad.map(() => false));
  });

  it('takes linear time for long texts', () => {
    const texts = [
      'a'.repeat(200_000),
      `${'a.'.repeat(100_000)}@`,
      '1'.repeat(200_000),
      '~0'.repeat(100_000),
    ];
    const started = performance.now();
    for (const check of Object.values(SCHEMA_FORMATS)) for (const text of texts) check(text);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

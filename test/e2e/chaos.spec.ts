import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from '@jest/globals';

import { ROOT } from '../support/host-process.js';

/** Every kind once. */
const STRIKES = 26;
/** Those of PostgreSQL. */
const OUTAGES = 5;
const TIMEOUT_MS = 200_000;

const FAULTLESS = {
  lost: 0,
  split_keys: 0,
  runs_untold: 0,
  spool_left: 0,
  spool_set_aside: 0,
  effects_repeated: 0,
  effects_missing: 0,
  effects_untold: 0,
  checkpoints_repeated: 0,
  fires_lost: 0,
  fires_double: 0,
  takeovers_too_slow: 0,
  hosts_ended_by_themselves: 0,
};

/** The short form of `npm run chaos` (docs/reliability.md), in another order each time. */
it(
  'loses nothing and repeats no effect, whatever is struck',
  async () => {
    const figures = await strike(STRIKES);
    expect(figures).toMatchObject(FAULTLESS);
    expect(figures['accepted']).toBeGreaterThan(8);
    expect(figures['finished']).toBe(figures['accepted']);
    expect(figures['fires_due']).toBeGreaterThan(10);
    const strikes = Object.values(figures['strikes'] as Record<string, number>);
    const missed = figures['points_not_reached'] as number;
    expect(missed).toBeLessThan(4);
    expect(strikes.reduce((sum, times) => sum + times, missed)).toBe(STRIKES);
  },
  TIMEOUT_MS + 40_000,
);

it(
  'loses nothing that went into the spool, and runs none of it twice, whatever becomes of PostgreSQL',
  async () => {
    const figures = await strike(OUTAGES, ['--spool', '--only', 'postgres']);
    expect(figures).toMatchObject(FAULTLESS);
    expect(figures['finished']).toBe(figures['accepted']);
    expect(figures['spooled_at_least']).toBeGreaterThan(20);
  },
  TIMEOUT_MS + 40_000,
);

async function strike(
  times: number,
  more: string[] = [],
): Promise<Record<string, number | Record<string, number>>> {
  const script = join(ROOT, 'test', 'chaos', 'chaos.mjs');
  const args = ['--strikes', String(times), '--runs', '8', '--pause-ms', '200', '--json', ...more];
  // Other tests run at the same time, and take what a takeover needs.
  args.push('--takeover-limit-ms', '12000');
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] },
    timeout: TIMEOUT_MS, // it ends what it started
  });
  return JSON.parse(stdout) as Record<string, number | Record<string, number>>;
}

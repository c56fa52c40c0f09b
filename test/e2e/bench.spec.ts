import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, it } from '@jest/globals';

import { ROOT } from '../support/host-process.js';

const TIMEOUT_MS = 200_000;

interface Figures {
  machine: Record<string, unknown>;
  groups: { name: string; rows: Row[]; error: string | null }[];
}

interface Row {
  name: string;
  figures: Record<string, { median: number; min: number; max: number } | null>;
  aims: { text: string; isMet: boolean }[];
}

/** Rows of each group in the short form of `npm run bench`. */
const ROWS = {
  memory: 3,
  echo: 3,
  w1: 4,
  w2: 4,
  w3: 3,
  steps: 2,
  burst: 2,
  start: 1,
  crud: 9,
  sandbox: 9,
  ready: 1,
  tenants: 12,
  active: 1,
  database: 2,
};

/** The same for `npm run bench:wide`. */
const WIDE_ROWS = { queued: 5, plans: 17, schedules: 2, idle: 2, storage: 2 };

/** Its figures are for people; here it only has to measure all that it names, without an error. */
it.each([
  { script: 'bench.mjs', rowCounts: ROWS },
  { script: 'wide.mjs', rowCounts: WIDE_ROWS },
])(
  '$script measures what it names',
  async ({ script, rowCounts }) => {
    const folder = mkdtempSync(join(tmpdir(), 'stepwell-e2e-'));
    const { machine, groups } = await bench(script, folder);
    expect(machine).toMatchObject({ fsync: 'on', synchronous_commit: 'on' });
    expect(groups.filter(({ error }) => error !== null)).toEqual([]);
    const counts = groups.map(({ name, rows }) => [name, rows.length]);
    expect(Object.fromEntries(counts)).toEqual(rowCounts);
    for (const { name, figures } of groups.flatMap(({ rows }) => rows)) {
      for (const [figure, value] of Object.entries(figures)) {
        expect({ name, figure, isRight: isRight(figure, value) }).toMatchObject({ isRight: true });
      }
    }
    // What it started and wrote is gone.
    expect(readdirSync(folder)).toEqual([]);
    rmdirSync(folder);
  },
  TIMEOUT_MS + 30_000,
);

/** No errors, rates above 0, and all else a number, where the machine tells it. */
function isRight(figure: string, value: Row['figures'][string]): boolean {
  if (value === null) return figure === 'postgres_pss_mb';
  const { median, min, max } = value;
  if (figure === 'errors') return max === 0;
  if (/_per_s$/.test(figure)) return min > 0;
  return Number.isFinite(median) && min <= median && median <= max;
}

async function bench(script: string, folder: string): Promise<Figures> {
  const path = join(ROOT, 'test', 'bench', script);
  const { stdout } = await promisify(execFile)(process.execPath, [path, '--short', '--json'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], TMPDIR: folder },
    timeout: TIMEOUT_MS, // it ends what it started
  });
  return JSON.parse(stdout) as Figures;
}

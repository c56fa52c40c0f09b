import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { messageOf, StartupError } from '../common/errors.js';
import { isAlive } from '../config/host-file.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { serverEnv, unprivileged } from './unprivileged.js';

export const SUPERUSER = 'postgres';

/**
 * Makes a database cluster in `data`, with scram passwords, UTF-8 and the C locale.
 * @throws StartupError with initdb's reason
 */
export function initCluster(input: {
  binaries: PostgresBinaries;
  data: string;
  password: string;
}): void {
  // Made aside and renamed: a crash halfway leaves no half cluster behind.
  const draft = `${input.data}.${String(process.pid)}`;
  const pwfile = `${draft}.pw`;
  removeDrafts(dirname(input.data));
  writeFileSync(pwfile, input.password, { mode: 0o600 });
  try {
    const { command, args, ids } = unprivileged(
      input.binaries.initdb,
      [
        `--pgdata=${draft}`,
        `--username=${SUPERUSER}`,
        `--pwfile=${pwfile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
      ],
      dirname(input.data),
    );
    const run = spawnSync(command, args, { env: serverEnv(), encoding: 'utf8', ...ids });
    if (run.status !== 0) {
      const why = run.error ? messageOf(run.error) : run.stderr.trim().split('\n').at(-1);
      throw new StartupError(`initdb failed: ${why ?? 'no reason given'}`);
    }
    try {
      renameSync(draft, input.data);
    } catch (error) {
      // Another host made it at the same time; its cluster serves as well.
      if (!existsSync(join(input.data, 'PG_VERSION'))) throw error;
    }
  } finally {
    rmSync(pwfile, { force: true });
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Drafts of starts that were cut off. */
function removeDrafts(directory: string): void {
  for (const name of readdirSync(directory)) {
    const pid = /^data\.(\d+)(\.pw)?$/.exec(name)?.[1];
    if (pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid)))) {
      rmSync(join(directory, name), { recursive: true, force: true });
    }
  }
}

import { spawnSync } from 'node:child_process';

import { StartupError } from '../common/errors.js';

/** uid and gid of `nobody` on Linux. */
const NOBODY = 65_534;

export interface Launch {
  command: string;
  args: string[];
  ids: { uid?: number; gid?: number };
}

/**
 * PostgreSQL refuses to run as root. A user namespace gives it another uid while files stay
 * reachable, also below a 0700 directory; where namespaces are off, it runs as `nobody`.
 */
export function unprivileged(program: string, args: string[], directory: string): Launch {
  if (process.getuid?.() !== 0) return { command: program, args, ids: {} };
  const map = ['--user', '--map-user=1000', '--map-group=1000', '--'];
  if (spawnSync('unshare', [...map, 'true']).status === 0) {
    return { command: 'unshare', args: [...map, program, ...args], ids: {} };
  }
  const ids = { uid: NOBODY, gid: NOBODY };
  const owned = spawnSync('chown', ['-R', `${String(NOBODY)}:${String(NOBODY)}`, directory]);
  if (owned.status !== 0 || spawnSync(program, ['--version'], ids).status !== 0) {
    throw new StartupError(
      'PostgreSQL does not run as root, and neither a user namespace nor the user "nobody" can be used here; start Stepwell as another user, or set DATABASE_URL',
    );
  }
  return { command: program, args, ids };
}

/** All that initdb and postgres need of an environment. */
export function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}

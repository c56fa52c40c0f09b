import { isIP } from 'node:net';

import type { Problem } from '../../common/errors.js';

export const MAX_CAPPED_HOSTS = 1000;

/** What is wrong with the entries of a host cap, each with its pointer below `pointer`. */
export function findHostCapProblems(hosts: readonly string[], pointer: string): Problem[] {
  return hosts.flatMap((host, index) =>
    isHostPattern(host)
      ? []
      : [
          {
            pointer: `${pointer}/${String(index)}`,
            detail:
              'must be a host name in lower case without scheme, port or path, such as api.example.com or *.example.com',
          },
        ],
  );
}

/** In the form in which egress compares hosts: lower case, ASCII, as a parsed URL gives it. */
function isHostPattern(pattern: string): boolean {
  const isSuffix = pattern.startsWith('*.');
  const name = isSuffix ? pattern.slice(2) : pattern;
  if (name.includes('*') || URL.parse(`https://${name}/`)?.hostname !== name) return false;
  return !isSuffix || (isIP(name) === 0 && !name.startsWith('['));
}

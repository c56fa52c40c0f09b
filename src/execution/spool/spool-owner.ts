import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isAlive } from '../../config/host-file.js';

/** In each folder. */
export const OWNER_FILE = 'owner.json';

interface Owner {
  pid: number;
  /** As the system tells it; null where it doesn't. Process ids are given anew. */
  begunAt: string | null;
}

/** Says that a folder of the spool is this process's. */
export async function signFolder(folder: string): Promise<void> {
  const owner: Owner = { pid: process.pid, begunAt: readBegin(process.pid) };
  await writeFile(join(folder, OWNER_FILE), JSON.stringify(owner), { mode: 0o600 });
}

/** Whether whoever signed a folder lives. A folder that nobody signed is nobody's. */
export function isOwned(folder: string): boolean {
  const owner = readOwner(folder);
  return owner !== null && isAlive(owner.pid) && readBegin(owner.pid) === owner.begunAt;
}

function readOwner(folder: string): Owner | null {
  try {
    return JSON.parse(readFileSync(join(folder, OWNER_FILE), 'utf8')) as Owner;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') {
      return null;
    }
    throw error;
  }
}

/** In ticks since the machine started (proc(5), field 22 of stat). */
function readBegin(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** `<home>/host.json`: how the command line finds the host that runs on a home. */
export interface HostFile {
  pid: number;
  url: string;
  started_at: string;
}

export function readHostFile(home: string): HostFile | null {
  try {
    return JSON.parse(readFileSync(join(home, 'host.json'), 'utf8')) as HostFile;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') {
      return null;
    }
    throw error;
  }
}

/** Whoever sees the file sees all of it: it is written aside and renamed. */
export function writeHostFile(home: string, file: HostFile): void {
  const draft = join(home, `host.json.${String(process.pid)}`);
  writeFileSync(draft, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, join(home, 'host.json'));
}

/** Removes the file that this process wrote; another host of the same home keeps its own. */
export function removeHostFile(home: string): void {
  if (readHostFile(home)?.pid === process.pid) rmSync(join(home, 'host.json'), { force: true });
}

/** Whether a process lives. A process of another user counts as alive. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export const ADMIN_KEY_FILE = 'admin.key';

import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

/** Processes below one, by /proc. */
export function descendantsOf(pid: number): { pid: number; command: string }[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const stat = readIfThere(`/proc/${name}/stat`);
    // pid (command) state ppid ...; the command may hold spaces and brackets.
    const ppid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    parents.set(Number(name), ppid);
  }
  const isBelow = (one: number): boolean => {
    const parent = parents.get(one);
    return parent !== undefined && parent > 0 && (parent === pid || isBelow(parent));
  };
  return [...parents.keys()].filter(isBelow).map((one) => ({
    pid: one,
    command: readIfThere(`/proc/${String(one)}/cmdline`).replaceAll('\0', ' '),
  }));
}

/** All that a process could write to: heap, stacks, buffers. One piece per mapping. */
export function* writableMemory(pid: number): Generator<Buffer> {
  const memory = openSync(`/proc/${String(pid)}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${String(pid)}/maps`, 'utf8').split('\n')) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (!match) continue;
      const start = Number.parseInt(match[1] ?? '', 16);
      const size = Number.parseInt(match[2] ?? '', 16) - start;
      const piece = tryRead(memory, start, size);
      if (piece) yield piece;
    }
  } finally {
    closeSync(memory);
  }
}

/** Reserved mappings can be listed and not readable. */
function tryRead(fd: number, position: number, size: number): Buffer | null {
  try {
    const piece = Buffer.alloc(size);
    return piece.subarray(0, readSync(fd, piece, 0, size, position));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    return null;
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it ended in the meantime
  }
}

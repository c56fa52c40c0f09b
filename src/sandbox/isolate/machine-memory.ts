import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

export interface MachineMemory {
  /** What this process and its children may use at most: physical memory, or less by a cgroup. */
  limitBytes: number;
  /** What of it can be had without swapping; null where that is unknown. */
  availableBytes: number | null;
}

/** Reads a small file; null when there is none. */
export type ReadText = (path: string) => string | null;

/**
 * The memory of this machine, or of the container: cgroup v1 and v2, with the limits of all groups
 * above. Cached files count as available: the kernel takes them back when memory is wanted. Elsewhere
 * than on Linux only the physical memory is known.
 */
export function readMachineMemory(
  read: ReadText = readText,
  physicalBytes: number = totalmem(),
): MachineMemory {
  let limitBytes = physicalBytes;
  const kilobytes = numberAfter(read('/proc/meminfo'), 'MemAvailable:');
  let availableBytes = kilobytes === null ? null : kilobytes * 1024;
  for (const { directory, files } of groups(read('/proc/self/cgroup') ?? '')) {
    const limit = readNumber(read, `${directory}/${files.limit}`);
    if (limit === null || limit >= physicalBytes) continue;
    limitBytes = Math.min(limitBytes, limit);
    const used = readNumber(read, `${directory}/${files.used}`);
    if (used === null) continue;
    const cached = numberAfter(read(`${directory}/memory.stat`), files.cached) ?? 0;
    const left = Math.max(0, limit - used + cached);
    availableBytes = Math.min(availableBytes ?? left, left);
  }
  return { limitBytes, availableBytes };
}

/** How much of what should be free isn't, bytes: a tenth of the memory, at most 512 MiB. */
export function missingMemory({ limitBytes, availableBytes }: MachineMemory): number {
  if (availableBytes === null) return 0;
  return Math.max(0, Math.min(limitBytes / 10, MOST_KEPT_FREE) - availableBytes);
}

interface Group {
  directory: string;
  files: typeof V1 | typeof V2;
}

/** Of the memory controller, from the innermost out. In a container the paths may be those of the host, and missing. */
function groups(text: string): Group[] {
  const found: Group[] = [];
  for (const line of text.split('\n')) {
    const [, controllers, ...rest] = line.split(':');
    const isV2 = controllers === '';
    if (!isV2 && controllers?.split(',').includes('memory') !== true) continue;
    const files = isV2 ? V2 : V1;
    const parts = rest
      .join(':')
      .split('/')
      .filter((part) => part !== '');
    for (let depth = parts.length; depth >= 0; depth--) {
      found.push({ directory: [files.root, ...parts.slice(0, depth)].join('/'), files });
    }
  }
  return found;
}

const V1 = {
  root: '/sys/fs/cgroup/memory',
  limit: 'memory.limit_in_bytes',
  used: 'memory.usage_in_bytes',
  cached: 'total_inactive_file ',
};

const V2 = {
  root: '/sys/fs/cgroup',
  limit: 'memory.max',
  used: 'memory.current',
  cached: 'inactive_file ',
};

const MOST_KEPT_FREE = 512 * 2 ** 20;

/** `max` in v2 means none, as does a number beyond all memory in v1. */
function readNumber(read: ReadText, path: string): number | null {
  const text = read(path)?.trim();
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

/** The number of the line that starts so. */
function numberAfter(text: string | null, start: string): number | null {
  const line = text?.split('\n').find((each) => each.startsWith(start));
  if (line === undefined) return null;
  const number = Number.parseInt(line.slice(start.length), 10);
  return Number.isNaN(number) ? null : number;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // Another system, another version of cgroups, or no right to look.
  }
}

import { readdirSync, readFileSync } from 'node:fs';

/** The kernel tells CPU time in hundredths of a second, whatever its own timer does. */
const MS_PER_TICK = 10;
const MB_PER_KIB = 1_024 / 1_000_000;

/**
 * What Linux tells of a process; null when it is gone.
 * @returns {{ parent: number, startedAt: string, ownMs: number, reapedMs: number } | null} CPU time of its own, and
 *   of children that ended and that it waited for
 */
export function readProcess(pid) {
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name may hold anything, also parentheses. After it: state, parent, ...; man 5 proc counts from 1.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number) => fields[number - 3];
  const ticks = (number) => Number(field(number));
  return {
    parent: Number(field(4)),
    startedAt: field(22),
    ownMs: (ticks(14) + ticks(15)) * MS_PER_TICK,
    reapedMs: (ticks(16) + ticks(17)) * MS_PER_TICK,
  };
}

/** All processes, by id. */
export function readProcesses() {
  const processes = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const found = readProcess(name);
    if (found) processes.set(Number(name), found);
  }
  return processes;
}

/** Ids of a process and all that stem from it, without those that stem from `except`. */
export function treeOf(root, processes, except = null) {
  const children = new Map();
  for (const [pid, { parent }] of processes) {
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [];
  const visit = (pid) => {
    if (pid === except || !processes.has(pid)) return;
    found.push(pid);
    (children.get(pid) ?? []).forEach(visit);
  };
  visit(root);
  return found;
}

/**
 * Memory of processes, MB. RSS counts a page in each process that has it, PSS shares it among them.
 * Null: none of them may be looked into.
 */
export function readMemory(pids) {
  const read = pids
    .map((pid) => readOrNull(`/proc/${pid}/smaps_rollup`))
    .filter((rollup) => rollup !== null);
  if (read.length === 0) return null;
  const sum = (name) =>
    read.reduce(
      (kib, rollup) => kib + Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0),
      0,
    );
  return { rssMb: sum('Rss') * MB_PER_KIB, pssMb: sum('Pss') * MB_PER_KIB };
}

/** Null: gone meanwhile, or not ours to look into. */
function readOrNull(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(error.code)) return null;
    throw error;
  }
}

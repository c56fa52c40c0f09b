import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import { readProcess } from './procfs.mjs';

const PATIENCE_MS = 20_000;

const directory = process.argv[2];
const watched = { host: [], database: [] };
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);

for await (const line of createInterface({ input: process.stdin })) {
  const [kind, pid] = line.split(' ');
  watched[kind].push({ pid: Number(pid), startedAt: readProcess(pid)?.startedAt });
}
await end(watched.host, 'SIGTERM', 'SIGKILL');
await end(watched.database, 'SIGINT', 'SIGQUIT');
rmSync(directory, { recursive: true, force: true });

async function end(processes, gentle, hard) {
  for (const signal of [gentle, hard]) {
    const left = processes.filter(isAlive);
    for (const { pid } of left) process.kill(pid, signal);
    const deadline = performance.now() + PATIENCE_MS;
    while (left.some(isAlive) && performance.now() < deadline) await delay(50);
  }
}

/** Its id may be another's by now. */
function isAlive({ pid, startedAt }) {
  return startedAt !== undefined && readProcess(pid)?.startedAt === startedAt;
}

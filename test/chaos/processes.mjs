import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const PATIENCE_MS = 20_000;

/** Asks a process to end, stopped or not, and kills it when it takes too long. */
export async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}

export function childrenOf(pid) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const stat = readOrNull(() => readFileSync(`/proc/${name}/stat`, 'utf8'));
      return stat !== null && Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
    })
    .map(Number);
}

/** Which of these processes holds the other end of a connection on loopback; null when none does. */
export function findPeer(pids, { localPort, remotePort }) {
  const end = ` ${loopback(remotePort)} ${loopback(localPort)} `;
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find((one) => one.includes(end));
  const inode = line?.trim().split(/\s+/)[9];
  return inode === undefined ? null : (pids.find((pid) => holds(pid, `socket:[${inode}]`)) ?? null);
}

export function tryKill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** As /proc/net/tcp writes 127.0.0.1 and a port. */
function loopback(port) {
  return `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

function holds(pid, link) {
  const names = readOrNull(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
  return names.some((name) => readOrNull(() => readlinkSync(`/proc/${pid}/fd/${name}`)) === link);
}

/** Null: it ended, or was closed, in the meantime. */
function readOrNull(read) {
  try {
    return read();
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return null;
    throw error;
  }
}

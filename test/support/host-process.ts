import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { eventually } from './eventually.js';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface HostProcess {
  child: ChildProcess;
  home: string;
  url: string;
  /** What it printed for people. */
  stdout(): string;
  stderr(): string;
  /** Sends a request with the admin's key. */
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: any }>; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into answers of any shape
  /** @returns the exit code */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A folder for a host; removed by `removeHome`. */
export function makeHome(name = 'home'): string {
  return join(mkdtempSync(join(tmpdir(), 'stepwell-e2e-')), name);
}

/** Ends what a killed host left behind, by its pid, and removes the folder. */
export async function removeHome(home: string): Promise<void> {
  const pid = postmasterPid(home);
  if (pid !== null && isRunning(pid)) {
    process.kill(pid, 'SIGINT');
    await eventually('the end of PostgreSQL', () => postmasterPid(home) === null);
  }
  rmSync(join(home, '..'), { recursive: true, force: true });
}

/** Starts the built host as a process of its own and waits until it says that it is ready. */
export async function startHostProcess(
  home: string,
  env: Record<string, string> = {},
): Promise<HostProcess> {
  const host = spawnHost(home, env);
  try {
    await eventually(
      'the host being ready',
      () => {
        if (host.child.exitCode !== null) throw new Error(`the host ended: ${host.stderr()}`);
        return host.stdout().includes('Stepwell is ready at');
      },
      60_000,
    );
  } catch (error) {
    host.child.kill('SIGKILL');
    throw error;
  }
  const url = /ready at (\S+);/.exec(host.stdout())?.[1] ?? '';
  // Only the first host on a database makes a key; others are handed one.
  const keyFile = join(home, 'admin.key');
  const key = existsSync(keyFile) ? readFileSync(keyFile, 'utf8').trim() : '';
  return {
    ...host,
    home,
    url,
    send: async (method, path, body, headers = {}) => {
      const response = await fetch(new URL(path, url), {
        method,
        headers: {
          'x-api-key': key,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    },
    stop: async (signal = 'SIGTERM') => {
      if (host.child.exitCode === null && host.child.signalCode === null) {
        const exit = once(host.child, 'exit');
        host.child.kill(signal);
        await exit;
      }
      return host.child.exitCode;
    },
  };
}

/** Starts it and waits for its end: for starts that are refused. */
export async function failToStart(
  home: string,
  env: Record<string, string> = {},
): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const host = spawnHost(home, env);
  await eventually('the end of the host', () => host.child.exitCode !== null, 30_000);
  return { code: host.child.exitCode, stderr: host.stderr(), stdout: host.stdout() };
}

export function postmasterPid(home: string): number | null {
  const path = join(home, 'postgres', 'data', 'postmaster.pid');
  if (!existsSync(path)) return null;
  // Empty: it is not yet written. As a pid, 0 would mean all of this process group.
  return Number(readFileSync(path, 'utf8').split('\n')[0]) || null;
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${String(pid)}/stat`;
  // A zombie has ended; whoever started it hasn't looked yet.
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, 'utf8'));
}

/** Starts it and returns at once: for what happens while it comes up. */
export function beginHost(home: string): Pick<HostProcess, 'child' | 'stdout' | 'stderr'> {
  return spawnHost(home, {});
}

function spawnHost(
  home: string,
  env: Record<string, string>,
): Pick<HostProcess, 'child' | 'stdout' | 'stderr'> {
  const child = spawn(process.execPath, [join(ROOT, 'dist', 'main.js')], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], STEPWELL_HOME: home, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
  return { child, stdout: () => out, stderr: () => err };
}

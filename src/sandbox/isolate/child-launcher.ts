import { spawn, type ChildProcess } from 'node:child_process';

export interface ChildCommand {
  /** The node binary. */
  file: string;
  args: string[];
}

/**
 * Starts a child's process with an empty environment, stdin and stdout closed, stderr piped, and file
 * descriptor 3 as the socket for frames. The seam for what the operating system adds: a launcher may
 * wrap the command (namespaces, seccomp) and put the process into a cgroup before it returns, as
 * long as the pid that it returns is node's own.
 */
export type ChildLauncher = (command: ChildCommand) => ChildProcess;

/** The command line of a child. */
export function childCommand(parts: {
  childPath: string;
  kernelPath: string;
  addonPath: string;
  permissions: boolean;
}): ChildCommand {
  const { childPath, kernelPath, addonPath } = parts;
  const permissions = [childPath, kernelPath, addonPath].map((path) => `--allow-fs-read=${path}`);
  return {
    file: process.execPath,
    args: [
      ...(parts.permissions ? ['--permission', '--allow-addons', ...permissions] : []),
      '--disable-warning=PERM0001',
      '--no-node-snapshot', // isolated-vm needs it
      '--disable-sigusr1', // no inspector by signal
      '--enable-sharedarraybuffer-per-context', // which no context of a guest then gets
      '--max-old-space-size=64', // of the child's own heap, not of the isolates
      '--v8-pool-size=1',
      childPath,
      addonPath,
      kernelPath,
    ],
  };
}

/**
 * The plain launcher: no core dumps (they would hold tenants' data), no files written, and the
 * child first in line when the kernel runs out of memory. A session of its own keeps Ctrl-C in a
 * terminal away from it.
 */
export const launchPlain: ChildLauncher = ({ file, args }) => {
  const options = {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'] as ('ignore' | 'pipe')[],
    windowsHide: true,
  };
  if (process.platform === 'win32') return spawn(file, args, options);
  // exec keeps the pid: what the shell started is what it becomes.
  return spawn('/bin/sh', ['-c', LIMITS, file, ...args], options);
};

const LIMITS =
  '{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null; ulimit -c 0; ulimit -f 0; exec "$0" "$@"';

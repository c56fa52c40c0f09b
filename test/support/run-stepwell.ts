import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { ROOT } from './host-process.js';

/** The command as npm links it. */
export const STEPWELL_BIN = join(ROOT, 'src', 'cli', 'bin', 'stepwell.js');

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command on a home, with `stdin` sent through a pipe, and waits for its end. */
export async function runStepwell(
  home: string,
  args: string[],
  { env = {}, stdin = '' }: { env?: Record<string, string>; stdin?: string } = {},
): Promise<Outcome> {
  const child = spawn(process.execPath, [STEPWELL_BIN, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], STEPWELL_HOME: home, ...env },
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  // A command that reads nothing may be gone before it is sent anything.
  child.stdin.on('error', () => undefined).end(stdin);
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

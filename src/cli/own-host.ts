import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { environmentOfOwnHost, type ClientConfig } from '../config/client-config.js';
import { findRunningHost, type HostClient } from './host-client.js';

const START_DEADLINE_MS = 60_000;

export interface OwnHost {
  client: HostClient;
  stop(): Promise<void>;
}

/**
 * Brings up a host on the same home, on a free port, for one command; takes it down when `signal`
 * aborts while it comes up.
 * @throws Error with what the host said when it doesn't come up.
 */
export async function startOwnHost(config: ClientConfig, signal: AbortSignal): Promise<OwnHost> {
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  // In a process group of its own, so that Ctrl-C reaches the command, which stops it in order.
  const child = spawn(process.execPath, [main], {
    detached: true,
    env: environmentOfOwnHost(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-4000);
  });
  const exited = once(child, 'exit');
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (): Promise<void> => {
    if (hasEnded()) return;
    child.kill('SIGTERM');
    await exited;
  };

  const deadline = performance.now() + START_DEADLINE_MS;
  while (performance.now() < deadline && !signal.aborted) {
    const client = await findRunningHost(config);
    if (client) return { client, stop };
    if (hasEnded())
      throw new Error(errors.trim().replace(/^stepwell: /, '') || 'the host ended at once');
    await delay(25);
  }
  await stop();
  throw new Error(signal.aborted ? 'interrupted' : 'the host did not come up within a minute');
}

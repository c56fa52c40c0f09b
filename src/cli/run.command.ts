import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '../common/errors.js';
import type { JsonValue } from '../common/json.js';
import { loadClientConfig } from '../config/client-config.js';
import { findRunningHost, type ExecutionView, type HostClient } from './host-client.js';
import { startOwnHost } from './own-host.js';
import { RunPrinter } from './run-printer.js';

const POLL_MS = 50;
const FINISHED = new Set(['success', 'error', 'cancelled']);

export interface RunOptions {
  file: string;
  input?: string;
  json?: boolean;
}

/** Runs a plan from a file and shows how it goes. @returns the exit code: 0 when the plan succeeded. */
export async function runCommand(options: RunOptions): Promise<number> {
  const plan = readJson(options.file, readFileSync(options.file, 'utf8'));
  const input = readInput(options.input);
  const config = loadClientConfig();
  const running = await findRunningHost(config);
  const own = running ? null : await startOwnHost(config);
  try {
    const client = running ?? own?.client;
    if (!client) throw new Error('no host to run on');
    const printer = new RunPrinter(process.stdout, options.json === true);
    const execution = await follow(client, await client.startPlan(plan, input), printer);
    printer.finish(execution);
    return execution.status === 'success' ? 0 : 1;
  } finally {
    await own?.stop();
  }
}

/** Shows the steps as they end. The first Ctrl-C cancels the run. */
async function follow(
  client: HostClient,
  started: ExecutionView,
  printer: RunPrinter,
): Promise<ExecutionView> {
  const interrupt = new AbortController();
  const onSignal = (): void => {
    interrupt.abort();
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    for (;;) {
      if (interrupt.signal.aborted) await client.cancelExecution(started.id);
      const execution = await client.getExecution(started.id);
      printer.show(execution);
      if (FINISHED.has(execution.status)) return execution;
      await delay(POLL_MS, undefined, { signal: interrupt.signal }).catch(ignoreInterrupt);
    }
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/** The loop looks at the signal itself. */
function ignoreInterrupt(error: unknown): void {
  if ((error as { name?: string }).name !== 'AbortError') throw error;
}

function readInput(text: string | undefined): JsonValue {
  if (text === undefined) return {};
  if (!text.startsWith('@')) return readJson('--input', text);
  return readJson(text.slice(1), readFileSync(text.slice(1), 'utf8'));
}

function readJson(source: string, text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new Error(`${source} is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

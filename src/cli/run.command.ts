import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { messageOf } from '../common/errors.js';
import type { JsonValue } from '../common/json.js';
import { loadClientConfig } from '../config/client-config.js';
import { findRunningHost, type ExecutionView, type HostClient } from './host-client.js';
import { startOwnHost } from './own-host.js';
import { RunPrinter } from './run-printer.js';

const POLL_MS = 50;
const WAITING_POLL_MS = 500;
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
  const interrupt = new AbortController();
  const onSignal = (): void => {
    interrupt.abort();
  };
  // From here on a signal is an order to tidy up: a run is cancelled, an own host is taken down.
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const running = await findRunningHost(config);
  const own = running ? null : await startOwnHost(config, interrupt.signal);
  try {
    const client = running ?? own?.client;
    if (!client) throw new Error('no host to run on');
    const printer = new RunPrinter(process.stdout, options.json === true);
    const started = await client.startPlan(plan, input);
    const execution = await follow({ client, started, printer, interrupt: interrupt.signal });
    printer.finish(execution);
    return execution.status === 'success' ? 0 : 1;
  } finally {
    await own?.stop();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** Shows the steps as they end, and what they wait for. An interrupt cancels the run. */
async function follow(run: {
  client: HostClient;
  started: ExecutionView;
  printer: RunPrinter;
  interrupt: AbortSignal;
}): Promise<ExecutionView> {
  const { client, started, printer, interrupt } = run;
  for (;;) {
    if (interrupt.aborted) await cancel(client, started.id);
    const execution = await client.getExecution(started.id);
    printer.show(execution);
    if (FINISHED.has(execution.status)) return execution;
    if (printer.hasNewWaits(execution)) {
      printer.showWaits(execution, await client.listWaits(execution.id));
    }
    const pauseMs = execution.status === 'waiting' ? WAITING_POLL_MS : POLL_MS;
    await delay(pauseMs, undefined, { signal: interrupt }).catch(ignoreInterrupt);
  }
}

/** A run that ended in the same moment can't be cancelled any more, and needn't be. */
async function cancel(client: HostClient, id: string): Promise<void> {
  const { status } = await client.getExecution(id);
  if (!FINISHED.has(status)) await client.cancelExecution(id);
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

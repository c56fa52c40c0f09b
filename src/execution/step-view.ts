import type { JsonValue } from '../common/json.js';
import type { ProviderResult } from '../common/provider-result.js';
import type { StepDefinition } from '../plans/rules/plan-definition.js';
import type { ExecutionLog } from './execution-log.entity.js';
import { isFinished } from './execution-status.js';
import type { Execution } from './execution.entity.js';
import { itemsTotal } from './loop-state.js';
import { attemptKey, WHOLE_STEP } from './run-store.js';

export interface StepView {
  id: string;
  provider: string;
  action: string;
  status:
    'pending' | 'running' | 'retrying' | 'waiting' | 'success' | 'error' | 'skipped' | 'cancelled';
  /** Of a step with `for_each`: of the item that took most. */
  attempts: number;
  started_at: string | null;
  finished_at: string | null;
  /** Null until an attempt has ended; of a step with `for_each`, until all of it has. */
  result: ProviderResult | null;
  /** Of a step with `for_each` alone. */
  iterations?: IterationsView;
}

/** How far a `for_each` is. Each attempt of each item is in `/api/execution-logs`. */
export interface IterationsView {
  /** Null until the step begins. */
  total: number | null;
  succeeded: number;
  failed: number;
  /**
   * Whose write has begun, who waits, or whose next attempt is to come: others leave no trace before
   * they end.
   */
  running: number;
}

/** @param logs of the step, in the order of attempts */
export function toStepView(
  { id, step }: { id: string; step: StepDefinition },
  execution: Execution,
  logs: readonly ExecutionLog[],
): StepView {
  const items = step.for_each === undefined ? null : lastOfEachItem(logs);
  const iterations = items && { iterations: countItems(items, execution, logs) };
  const head = { id, provider: step.provider, action: step.action };
  const skipped = logs.find(({ status }) => status === 'skipped');
  const last = skipped ?? (items ? lastOfWhole(logs) : logs.at(-1));
  if (!last) {
    const status = statusWithoutLogs(execution);
    const times = { started_at: null, finished_at: null };
    return { ...head, status, attempts: 0, ...times, result: null, ...iterations };
  }
  const result = toResult(last);
  return {
    ...head,
    status: statusOf(last, execution),
    attempts: items ? mostAttempts(items) : last.attempt,
    started_at: last.startedAt.toISOString(),
    finished_at: last.finishedAt?.toISOString() ?? null,
    result:
      items && result?.success === true
        ? { ...result, output: listOutputs(items, itemsTotal(last.input) ?? 0) }
        : result,
    ...iterations,
  };
}

function statusWithoutLogs({ status }: Execution): StepView['status'] {
  if (!isFinished(status)) return 'pending';
  return status === 'cancelled' ? 'cancelled' : 'skipped';
}

function statusOf(log: ExecutionLog, execution: Execution): StepView['status'] {
  const isOver = isFinished(execution.status);
  if (log.status === 'started') {
    if (isOver) return 'cancelled';
    return execution.status === 'running' ? 'running' : 'pending';
  }
  if (log.status === 'waiting') return isOver ? 'cancelled' : 'waiting';
  if (!isOver && isToBeTriedAgain(log, execution)) {
    return execution.status === 'paused' ? 'pending' : 'retrying';
  }
  if (log.status === 'error' && log.error?.code === 'step.cancelled') return 'cancelled';
  return log.status;
}

/** An attempt that failed and isn't the last, by its policy or because somebody wants another. */
function isToBeTriedAgain(log: ExecutionLog, { forgiven }: Execution): boolean {
  if (log.status !== 'error') return false;
  if (log.attempt <= (forgiven?.[attemptKey(log)] ?? 0)) return true;
  return log.metadata?.['next_attempt_in_ms'] !== undefined;
}

function toResult(log: ExecutionLog): ProviderResult | null {
  if (log.status !== 'success' && log.status !== 'error') return null;
  return {
    success: log.status === 'success',
    output: log.output,
    message: log.message ?? '',
    metadata: log.metadata ?? {},
    error: log.error,
  };
}

function lastOfWhole(logs: readonly ExecutionLog[]): ExecutionLog | undefined {
  return logs.findLast(({ iteration }) => iteration === WHOLE_STEP);
}

function lastOfEachItem(logs: readonly ExecutionLog[]): Map<number, ExecutionLog> {
  const items = logs.filter(({ iteration }) => iteration !== WHOLE_STEP);
  return new Map(items.map((log) => [log.iteration, log]));
}

function countItems(
  items: ReadonlyMap<number, ExecutionLog>,
  execution: Execution,
  logs: readonly ExecutionLog[],
): IterationsView {
  const whole = lastOfWhole(logs);
  const counts = { succeeded: 0, failed: 0, running: 0 };
  for (const log of items.values()) {
    const status = statusOf(log, execution);
    if (status === 'success') counts.succeeded++;
    else if (status === 'error' || status === 'cancelled') counts.failed++;
    else if (status === 'running' || status === 'retrying' || status === 'waiting')
      counts.running++;
  }
  return { total: whole ? itemsTotal(whole.input) : null, ...counts };
}

function mostAttempts(items: ReadonlyMap<number, ExecutionLog>): number {
  let most = 0;
  for (const { attempt } of items.values()) most = Math.max(most, attempt);
  return most;
}

function listOutputs(items: ReadonlyMap<number, ExecutionLog>, total: number): JsonValue[] {
  return Array.from({ length: total }, (_, index) => {
    const log = items.get(index);
    return log?.status === 'success' ? log.output : null;
  });
}

import type { JsonValue } from '../common/json.js';
import type { ProviderResult, StepError } from '../common/provider-result.js';
import type { Visibility } from '../plans/plan.entity.js';
import { defaultStepId } from '../plans/rules/plan-definition.js';
import type { ExecutionLog } from './execution-log.entity.js';
import { isFinished, type ExecutionStatus } from './execution-status.js';
import type { Execution } from './execution.entity.js';

/** An execution as the API shows it. Times are ISO 8601, durations milliseconds. */
export interface ExecutionView {
  id: string;
  plan_id: string | null;
  plan_version: number | null;
  owner_id: string;
  visibility: Visibility;
  status: ExecutionStatus;
  trigger: string;
  input: JsonValue;
  output: JsonValue;
  error: StepError | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  duration_ms: number | null;
}

export interface ExecutionDetail extends ExecutionView {
  steps: StepView[];
}

export interface StepView {
  id: string;
  provider: string;
  action: string;
  status: 'pending' | 'running' | 'retrying' | 'success' | 'error' | 'skipped' | 'cancelled';
  attempts: number;
  started_at: string | null;
  finished_at: string | null;
  /** Null until an attempt has ended. */
  result: ProviderResult | null;
}

/** One attempt, as `/api/execution-logs` shows it. */
export interface LogView {
  id: string;
  execution_id: string;
  plan_id: string | null;
  step_id: string;
  provider: string;
  action: string;
  status: 'success' | 'error';
  attempt: number;
  latency_ms: number;
  timestamp: string;
  input: JsonValue;
  output: JsonValue;
  error: StepError | null;
}

export function toExecutionView(row: Execution): ExecutionView {
  return {
    id: row.id,
    plan_id: row.planId,
    plan_version: row.planVersion,
    owner_id: row.ownerId,
    visibility: row.visibility,
    status: row.status,
    trigger: row.trigger,
    input: row.input,
    output: row.output,
    error: row.error,
    created_at: row.createdAt.toISOString(),
    started_at: row.startedAt?.toISOString() ?? null,
    finished_at: row.finishedAt?.toISOString() ?? null,
    duration_ms:
      row.startedAt && row.finishedAt ? row.finishedAt.getTime() - row.startedAt.getTime() : null,
  };
}

/** @param logs the journal of the execution, in the order of attempts. */
export function toExecutionDetail(row: Execution, logs: ExecutionLog[]): ExecutionDetail {
  const lastAttempts = new Map(logs.map((log) => [log.stepId, log]));
  const steps = row.definition.steps.map((step, index): StepView => {
    const id = step.id ?? defaultStepId(index);
    const head = { id, provider: step.provider, action: step.action };
    const last = lastAttempts.get(id);
    if (!last) {
      const status = isFinished(row.status)
        ? row.status === 'cancelled'
          ? 'cancelled'
          : 'skipped'
        : 'pending';
      return { ...head, status, attempts: 0, started_at: null, finished_at: null, result: null };
    }
    return {
      ...head,
      status: stepStatus(last, row.status),
      attempts: last.attempt,
      started_at: last.startedAt.toISOString(),
      finished_at: last.finishedAt?.toISOString() ?? null,
      result: toResult(last),
    };
  });
  return { ...toExecutionView(row), steps };
}

export function toLogView(log: ExecutionLog): LogView {
  return {
    id: log.id,
    execution_id: log.executionId,
    plan_id: log.planId,
    step_id: log.stepId,
    provider: log.provider,
    action: log.action,
    status: log.status === 'success' ? 'success' : 'error',
    attempt: log.attempt,
    latency_ms: log.latencyMs ?? 0,
    timestamp: (log.finishedAt ?? log.startedAt).toISOString(),
    input: log.input,
    output: log.output,
    error: log.error,
  };
}

function stepStatus(log: ExecutionLog, execution: ExecutionStatus): StepView['status'] {
  if (log.status === 'started') return 'running';
  if (!isFinished(execution) && log.metadata?.['next_attempt_in_ms'] !== undefined) {
    return 'retrying';
  }
  if (log.status === 'error' && log.error?.code === 'step.cancelled') return 'cancelled';
  return log.status;
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

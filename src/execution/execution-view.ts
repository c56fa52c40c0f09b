import type { JsonValue } from '../common/json.js';
import type { StepError } from '../common/provider-result.js';
import type { Visibility } from '../plans/plan.entity.js';
import { defaultStepId } from '../plans/rules/plan-definition.js';
import type { BlobHandle } from './blobs/blob-handle.js';
import { showPayload } from './blobs/payload-view.js';
import type { ExecutionLog } from './execution-log.entity.js';
import type { ExecutionStatus } from './execution-status.js';
import type { Execution } from './execution.entity.js';
import { WHOLE_STEP } from './run-store.js';
import type { ListedLog } from './sql/list-logs.js';
import { toStepView, type StepView } from './step-view.js';

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

/** One attempt, as `/api/execution-logs` shows it. */
export interface LogView {
  id: string;
  execution_id: string;
  plan_id: string | null;
  step_id: string;
  /** 0; with `for_each` the place of the item, null for the end of the step as a whole. */
  iteration: number | null;
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

/** @param handles of outputs that are too large to be shown in a list */
export function toExecutionView(
  row: Execution,
  handles: ReadonlyMap<string, BlobHandle> = NONE,
): ExecutionView {
  return {
    id: row.id,
    plan_id: row.planId,
    plan_version: row.planVersion,
    owner_id: row.ownerId,
    visibility: row.visibility,
    status: row.status,
    trigger: row.trigger,
    input: row.input,
    output: shown(row.id, row.output, handles.get(row.outputBlob ?? '')),
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
  const byStep = Map.groupBy(logs, ({ stepId }) => stepId);
  const steps = row.definition.steps.map((step, index) => {
    const id = step.id ?? defaultStepId(index);
    return toStepView({ id, step }, row, byStep.get(id) ?? []);
  });
  return { ...toExecutionView(row), steps };
}

/** @param handles of inputs and outputs that are too large to be shown in a list */
export function toLogView(
  log: ListedLog,
  handles: ReadonlyMap<string, BlobHandle> = NONE,
): LogView {
  return {
    id: log.id,
    execution_id: log.executionId,
    plan_id: log.planId,
    step_id: log.stepId,
    iteration: log.iteration === WHOLE_STEP ? null : log.iteration,
    provider: log.provider,
    action: log.action,
    status: log.status === 'success' ? 'success' : 'error',
    attempt: log.attempt,
    latency_ms: log.latencyMs ?? 0,
    timestamp: (log.finishedAt ?? log.startedAt).toISOString(),
    input: shown(log.executionId, log.input, handles.get(log.inputBlob ?? '')),
    output: shown(log.executionId, log.output, handles.get(log.outputBlob ?? '')),
    error: log.error,
  };
}

const NONE: ReadonlyMap<string, BlobHandle> = new Map();

function shown(executionId: string, value: JsonValue, handle: BlobHandle | undefined): JsonValue {
  return handle ? showPayload(executionId, handle) : value;
}

import { defaultStepId } from '../plans/rules/plan-definition.js';
import type { ExecutionDetail } from './execution-view.js';
import type { StartCtx, Started, StartExecution } from './run-starts.service.js';

/** What can be told of an execution that is durable and can't be looked at, since the database is away. */
export function toAcceptedDetail(
  ctx: StartCtx,
  { executionId, status }: Pick<Started, 'executionId' | 'status'>,
  start: StartExecution,
): ExecutionDetail {
  return {
    id: executionId,
    plan_id: start.plan?.id ?? null,
    plan_version: start.plan?.version ?? null,
    owner_id: ctx.userId,
    visibility: start.visibility,
    status,
    trigger: start.trigger,
    input: start.input,
    output: null,
    error: null,
    created_at: new Date().toISOString(),
    started_at: null,
    finished_at: null,
    duration_ms: null,
    steps: start.definition.steps.map((step, index) => ({
      id: step.id ?? defaultStepId(index),
      provider: step.provider,
      action: step.action,
      status: 'pending',
      attempts: 0,
      started_at: null,
      finished_at: null,
      result: null,
    })),
  };
}

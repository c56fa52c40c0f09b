import type { Ctx } from '../../common/ctx.js';
import { defaultStepId } from '../../plans/rules/plan-definition.js';
import type { ExecutionDetail } from '../execution-view.js';
import type { StartExecution } from '../run-starts.service.js';

/** What can be told of an execution that was accepted and can't be looked at: it will be queued. */
export function toQueuedDetail(
  ctx: Ctx,
  executionId: string,
  start: StartExecution,
): ExecutionDetail {
  return {
    id: executionId,
    plan_id: start.plan?.id ?? null,
    plan_version: start.plan?.version ?? null,
    owner_id: ctx.userId,
    visibility: start.visibility,
    status: 'queued',
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

import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../common/json.js';
import {
  isStepErrorCode,
  stepFailed,
  stepSucceeded,
  type ProviderResult,
} from '../common/provider-result.js';
import { DatabaseWatch } from '../database/database-watch.js';
import { PlanCompiler } from '../plans/plan-compiler.js';
import { MAX_WAIT_SECONDS } from './execute.dto.js';
import { toAcceptedDetail } from './accepted-detail.js';
import { isFinished } from './execution-status.js';
import type { ExecutionDetail } from './execution-view.js';
import { RunStarts, type StartExecution } from './run-starts.service.js';
import { RunnablePlans } from './spool/runnable-plans.js';

export interface ExecutePlan {
  planId: string | undefined;
  /** Inline: run, and not saved. */
  plan: JsonObject | null;
  input: JsonValue;
  waitSeconds: number;
  key: string | undefined;
}

export interface ExecuteStep {
  step: JsonObject;
  stepResults: JsonObject;
  key: string | undefined;
}

type WhatToStart = Pick<StartExecution, 'definition' | 'plan' | 'visibility'>;

const MAX_KEY_CHARS = 255;

/** Runs plans and single steps on request. */
@Injectable()
export class ExecuteService {
  constructor(
    private readonly runnable: RunnablePlans,
    private readonly watch: DatabaseWatch,
    private readonly compiler: PlanCompiler,
    private readonly starts: RunStarts,
  ) {}

  /** @throws AppError request.not_found, plan.invalid, idempotency.key_reused */
  async executePlan(ctx: Ctx, request: ExecutePlan): Promise<ExecutionDetail> {
    const common = {
      trigger: 'manual' as const,
      input: request.input,
      idempotencyKey: readIdempotencyKey(request.key),
    };
    const start = request.plan
      ? await this.inline(ctx, request.plan)
      : await this.stored(ctx, request.planId ?? '');
    return await this.begin(ctx, { ...common, ...start }, request.waitSeconds);
  }

  /**
   * Runs one step and waits for it. What is wrong with the step itself comes back as its result.
   * @throws AppError idempotency.key_reused
   */
  async executeStep(ctx: Ctx, request: ExecuteStep): Promise<ProviderResult> {
    const given = readGiven(request.stepResults);
    const stepId = typeof request.step['id'] === 'string' ? request.step['id'] : 'step_1';
    // A step copied out of its plan may wait for others: what they gave is here, or isn't needed.
    const plan = { steps: [{ ...request.step, id: stepId, depends_on: [] }] };
    let definition;
    try {
      definition = await this.compiler.compile(ctx, plan, { given: Object.keys(given) });
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'plan.invalid') throw error;
      const errors = (error.errors ?? []).map(({ pointer, detail }) => ({
        pointer: pointer.replace('/steps/0', '/step'),
        detail,
      }));
      return stepFailed('input.invalid', error.detail.replace('/steps/0', '/step'), {
        details: { errors },
      });
    }
    const start: StartExecution = {
      definition: { ...definition, given },
      plan: null,
      visibility: 'private',
      trigger: 'step',
      input: {},
      idempotencyKey: readIdempotencyKey(request.key),
    };
    const execution = await this.starts.startAndWait(ctx, start, MAX_WAIT_SECONDS);
    const result = stepResult(execution);
    return { ...result, metadata: { ...result.metadata, execution_id: execution.id } };
  }

  /** While the database is away, a run that the spool takes is known by its id alone. */
  private async begin(ctx: Ctx, start: StartExecution, seconds: number): Promise<ExecutionDetail> {
    if (!(await this.watch.confirmAway())) {
      return await this.starts.startAndWait(ctx, start, seconds);
    }
    return toAcceptedDetail(ctx, await this.starts.start(ctx, start), start);
  }

  private async inline(ctx: Ctx, plan: JsonObject): Promise<WhatToStart> {
    const definition = await this.compiler.compile(ctx, plan, { at: '/plan' });
    return { definition, plan: null, visibility: 'private' };
  }

  private async stored(ctx: Ctx, id: string): Promise<WhatToStart> {
    const plan = await this.runnable.get(ctx, id);
    const { steps, pins, visibility } = plan;
    return { definition: { steps, pins }, plan, visibility };
  }
}

function stepResult(execution: ExecutionDetail): ProviderResult {
  if (!isFinished(execution.status)) {
    return stepFailed(
      'step.timed_out',
      `the step has not ended after ${String(MAX_WAIT_SECONDS)} s and runs on; see GET /api/executions/${execution.id}`,
    );
  }
  const [step] = execution.steps;
  if (step?.result) return step.result;
  if (execution.status === 'cancelled') return stepFailed('step.cancelled', 'it was cancelled');
  if (execution.error) {
    const { code, message, retryable } = execution.error;
    return stepFailed(code, message, { retryable });
  }
  return { ...stepSucceeded(null), message: 'skipped: its condition is false' };
}

/** @throws AppError request.invalid */
export function readIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  if (header.length > 0 && header.length <= MAX_KEY_CHARS) return header;
  throw new AppError(
    'request.invalid',
    `Idempotency-Key must have 1 to ${String(MAX_KEY_CHARS)} characters`,
  );
}

/** Each entry is a ProviderResult, or simply the output of a step that succeeded. */
function readGiven(results: JsonObject): Record<string, ProviderResult> {
  return Object.fromEntries(Object.entries(results).map(([id, value]) => [id, toResult(value)]));
}

function toResult(value: JsonValue): ProviderResult {
  if (!isJsonObject(value) || typeof value['success'] !== 'boolean') return stepSucceeded(value);
  const { success, output = null, message, metadata = {}, error } = value;
  if (success) return stepSucceeded(output, isJsonObject(metadata) ? metadata : {});
  const given = isJsonObject(error) ? error : {};
  const code = isStepErrorCode(given['code']) ? given['code'] : 'plugin.threw';
  const text = given['message'] ?? message;
  return stepFailed(code, typeof text === 'string' ? text : 'it failed');
}

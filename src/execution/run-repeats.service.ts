import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { invalidRequest } from '../common/http/validation.pipe.js';
import { isUuid } from '../common/ids.js';
import type { JsonObject, JsonValue } from '../common/json.js';
import { suggestion } from '../common/nearest-name.js';
import { Database } from '../database/database.js';
import type { Visibility } from '../plans/plan.entity.js';
import { PlansService } from '../plans/plans.service.js';
import { normaliseSteps } from '../plans/rules/plan-definition.js';
import type { AuditAction } from '../tenancy/audit/audit-event.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { fillPayloads, hasPayload } from './blobs/fill-payloads.js';
import { readIdempotencyKey } from './execute.service.js';
import type { ExecutionLog } from './execution-log.entity.js';
import type { Execution } from './execution.entity.js';
import { ExecutionsService } from './executions.service.js';
import { forkJournal, listKept } from './fork-journal.js';
import type { ControlledExecution } from './run-controls.js';
import { RunStarts, type StartExecution } from './run-starts.service.js';
import type { RunDefinition, RunTrigger } from './run-store.js';
import { findExecution, listJournal } from './sql/read-execution.js';

export interface RepeatRequest {
  waitSeconds: number;
  /** Of the Idempotency-Key header. */
  key: string | undefined;
}

export interface ForkRequest extends RepeatRequest {
  fromStep: string;
  /** Undefined: that of the origin. */
  input: JsonValue | undefined;
  /** Undefined: the origin's own steps. */
  planVersion: number | undefined;
}

/** What a repetition walks, and who sees it. */
type Target = Pick<StartExecution, 'definition' | 'plan' | 'visibility'>;

/** Makes new executions of ones that are there. They act as who asks for them, whoever the first acted as. */
@Injectable()
export class RunRepeatsService {
  constructor(
    private readonly database: Database,
    private readonly plans: PlansService,
    private readonly executions: ExecutionsService,
    private readonly starts: RunStarts,
    private readonly audit: AuditService,
  ) {}

  /**
   * Runs the same steps with the same input from the start, as a new execution of the caller's.
   * @throws AppError request.not_found, also when its plan was deleted or may no longer be seen;
   *   idempotency.key_reused
   */
  async replay(ctx: Ctx, id: string, request: RepeatRequest): Promise<ControlledExecution> {
    const { execution } = await this.getOrigin(ctx, id);
    const target = await this.targetOf(ctx, execution);
    const origin = { executionId: id, fromStep: null, journal: [] };
    const start = {
      ...target,
      ...whatTriggered(execution, 'replay'),
      input: execution.input,
      origin,
    };
    return await this.start(ctx, start, { ...request, action: 'execution.replayed' });
  }

  /**
   * A new execution of the caller's that begins at one step, with the results of the steps that don't
   * come after it; see forkJournal. Results that were made of an earlier input stay as they are.
   * @throws AppError request.not_found, also when its plan was deleted or may no longer be seen;
   *   request.invalid for an unknown step or version; idempotency.key_reused
   */
  async fork(ctx: Ctx, id: string, request: ForkRequest): Promise<ControlledExecution> {
    const { fromStep, planVersion, input } = request;
    const { execution, logs } = await this.getOrigin(ctx, id);
    const target = await this.targetOf(ctx, execution, planVersion);
    const steps = normaliseSteps(target.definition.steps);
    const ids = steps.map((step) => step.id);
    if (!ids.includes(fromStep)) {
      const detail = `there is no step "${fromStep}"${suggestion(fromStep, ids)}`;
      throw invalidRequest([{ pointer: '/from_step', detail }]);
    }
    const fork = {
      fromStep,
      steps,
      origin: { id, steps: normaliseSteps(execution.definition.steps), logs },
    };
    const large = listKept(fork).filter(hasPayload);
    if (large.length > 0) {
      const key = { tenantId: ctx.tenantId, executionId: id };
      await this.database.withTenant(ctx, (tx) => fillPayloads(tx, key, large));
    }
    const journal = forkJournal(fork);
    const start = {
      ...target,
      ...whatTriggered(execution, 'fork'),
      input: input === undefined ? execution.input : input,
      origin: { executionId: id, fromStep, journal },
    };
    return await this.start(ctx, start, { ...request, action: 'execution.forked' });
  }

  private async start(
    ctx: Ctx,
    start: Omit<StartExecution, 'idempotencyKey'> & Required<Pick<StartExecution, 'origin'>>,
    { key, waitSeconds, action }: RepeatRequest & { action: AuditAction },
  ): Promise<ControlledExecution> {
    const idempotencyKey = readIdempotencyKey(key);
    const { executionId, isNew } = await this.starts
      .start(ctx, { ...start, idempotencyKey })
      .catch((error: unknown) => {
        // Its time was over just now; see the retention.
        if (!isOriginGone(error)) throw error;
        throw new AppError(
          'request.not_found',
          `there is no execution ${start.origin.executionId}`,
        );
      });
    if (isNew) {
      const { executionId: originId, fromStep } = start.origin;
      await this.audit.recordAlone(ctx, {
        action,
        subject: { type: 'execution', id: executionId },
        details: { origin_id: originId, ...(fromStep !== null && { from_step: fromStep }) },
      });
    }
    return await this.executions.waitForEnd(ctx, executionId, waitSeconds);
  }

  private async getOrigin(
    ctx: Ctx,
    id: string,
  ): Promise<{ execution: Execution; logs: ExecutionLog[] }> {
    const key = { tenantId: ctx.tenantId, executionId: id };
    return await this.database.withTenant(ctx, async (tx) => {
      const execution = isUuid(id) ? await findExecution(tx, key) : null;
      if (!execution) throw new AppError('request.not_found', `there is no execution ${id}`);
      return { execution, logs: await listJournal(tx, key) };
    });
  }

  /** Whoever may see an execution may not see its plan any more: then there is nothing to run. */
  private async targetOf(ctx: Ctx, execution: Execution, planVersion?: number): Promise<Target> {
    const { definition, planId } = execution;
    const version = planVersion ?? execution.planVersion;
    if (planId === null || version === null) {
      if (planVersion === undefined) return { definition, plan: null, visibility: 'private' };
      const detail = 'this execution has no saved plan, so there are no versions; leave this out';
      throw invalidRequest([{ pointer: '/plan_version', detail }]);
    }
    const visibility: Visibility = (await this.plans.getPlan(ctx, planId)).visibility;
    const plan = { id: planId, version };
    if (version === execution.planVersion) return { definition, plan, visibility };
    return { definition: await this.getDefinition(ctx, plan), plan, visibility };
  }

  private async getDefinition(
    ctx: Ctx,
    { id, version }: { id: string; version: number },
  ): Promise<RunDefinition> {
    const versions = await this.plans.listVersions(ctx, id);
    const found = versions.find((one) => one.version === version);
    if (found) return { steps: found.steps, pins: found.pins };
    const newest = String(versions[0]?.version ?? 0);
    const detail = `the plan has no version ${String(version)}; its newest is ${newest}`;
    throw invalidRequest([{ pointer: '/plan_version', detail }]);
  }
}

/** Of the repetition, with what its references read about how the first one was triggered. */
function whatTriggered<T extends RunTrigger>(
  { triggerData }: Pick<Execution, 'triggerData'>,
  trigger: T,
): { trigger: T; triggerData?: JsonObject } {
  return { trigger, ...(triggerData && { triggerData }) };
}

function isOriginGone(error: unknown): boolean {
  const { driverError } = error as { driverError?: { code?: unknown; constraint?: unknown } };
  return driverError?.code === '23503' && driverError.constraint === 'fk_executions_origin';
}

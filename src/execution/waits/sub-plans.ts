import { Inject, Injectable } from '@nestjs/common';

import { systemClock } from '../../common/clock.js';
import type { JsonValue } from '../../common/json.js';
import { stepFailed, type ProviderResult } from '../../common/provider-result.js';
import { Database, type Tx, type TxCtx } from '../../database/database.js';
import type { Pins } from '../../plans/pins.js';
import type { Visibility } from '../../plans/plan.entity.js';
import type { StepDefinition } from '../../plans/rules/plan-definition.js';
import { withPatience } from '../database-patience.js';
import {
  RUN_STORE,
  type LeasedRun,
  type NewRun,
  type PlanWait,
  type RunStore,
} from '../run-store.js';
import { cancelExecution } from '../sql/cancel-execution.js';
import { findExecution } from '../sql/read-execution.js';
import { retryExecution } from '../sql/retry-execution.js';
import type { Walk } from '../walk.js';

/** A plan that runs itself ends here. */
const MAX_DEPTH = 10;

/** Executions that steps of other executions wait for. */
@Injectable()
export class SubPlans {
  constructor(
    private readonly database: Database,
    @Inject(RUN_STORE) private readonly store: RunStore,
  ) {}

  /**
   * Starts the execution that a step waits for, as the run-as user; once, however often it is asked. It
   * is queued: whichever host has room takes it. A retry has it go on from what failed of it.
   * @returns why it can't be; null when it runs, or did
   */
  async start(
    { run, signal }: Pick<Walk, 'run' | 'signal'>,
    wait: PlanWait,
    { isRetry }: { isRetry: boolean },
  ): Promise<ProviderResult | null> {
    if (run.depth >= MAX_DEPTH) {
      return refused(`plans may call one another ${String(MAX_DEPTH)} deep, and no deeper`);
    }
    return await withPatience(() => this.startOnce(run, wait, isRetry), {
      clock: systemClock,
      signal,
    });
  }

  /** The large output of an execution that a step waited for. It acts as the run's own user. */
  async readOutput(
    { run, signal }: Pick<Walk, 'run' | 'signal'>,
    child: { id: string; outputBlob: string },
  ): Promise<JsonValue> {
    const ofChild = { ...run.lease, executionId: child.id };
    const values = await withPatience(() => this.store.readBlobs(ofChild, [child.outputBlob]), {
      clock: systemClock,
      signal,
    });
    const output = values.get(child.outputBlob);
    if (output === undefined) throw new Error(`the output of execution ${child.id} is not there`);
    return output;
  }

  private async startOnce(
    run: LeasedRun,
    wait: PlanWait,
    isRetry: boolean,
  ): Promise<ProviderResult | null> {
    const { tenantId } = run.lease;
    const key = { tenantId, executionId: wait.childId };
    const { isThere, plan } = await this.database.withTenant(actAs(run), async (tx) => {
      const isThere = (await findExecution(tx, key)) !== null;
      if (isThere && isRetry) await retryExecution(tx, key);
      return { isThere, plan: isThere ? null : await findPlan(tx, tenantId, wait) };
    });
    if (isThere) return null;
    if (plan) return await this.accept(run, wait, plan);
    return refused(
      `there is no plan ${wait.planId}, or the user that this execution runs as may not see it`,
    );
  }

  private async accept(run: LeasedRun, wait: PlanWait, plan: PlanRow): Promise<null> {
    const { tenantId, ownerId, executionId } = run.lease;
    const child: NewRun = {
      ...{ id: wait.childId, tenantId, ownerId, tenantName: run.tenantName },
      ...{ planId: wait.planId, planVersion: plan.version },
      // What a private execution gives on is seen by nobody else.
      visibility: run.visibility === 'private' ? 'private' : plan.visibility,
      definition: { steps: plan.steps, pins: plan.pins },
      trigger: 'sub_plan',
      triggerData: null,
      input: wait.input ?? {},
      idempotency: null,
      hostId: null,
      originId: null,
      parent: { executionId, depth: run.depth },
      journal: [],
    };
    await this.store.accept(child);
    await this.cancelOrphan(run, wait);
    return null;
  }

  /** Whoever cancelled the run while its child was being stored could not see that. */
  private async cancelOrphan({ lease }: LeasedRun, { childId }: PlanWait): Promise<void> {
    const { tenantId, executionId } = lease;
    await this.database.withTenant(actAs({ lease }), async (tx) => {
      const parent = await findExecution(tx, { tenantId, executionId });
      if (parent?.status === 'cancelled')
        await cancelExecution(tx, { tenantId, executionId: childId });
    });
  }
}

interface PlanRow {
  version: number;
  visibility: Visibility;
  steps: StepDefinition[];
  pins: Pins;
}

/** The newest version of a plan, if the user sees it. */
async function findPlan(tx: Tx, tenantId: string, { planId }: PlanWait): Promise<PlanRow | null> {
  const rows: PlanRow[] = await tx.query(
    `select p.version, p.visibility, v.steps, v.pins
       from plans p
       join plan_versions v on v.tenant_id = p.tenant_id and v.plan_id = p.id and v.version = p.version
      where p.tenant_id = $1 and p.id = $2 and p.deleted_at is null`,
    [tenantId, planId],
  );
  return rows[0] ?? null;
}

function actAs({ lease: { tenantId, ownerId } }: Pick<LeasedRun, 'lease'>): TxCtx {
  return { tenantId, userId: ownerId, role: 'user' };
}

function refused(message: string): ProviderResult {
  return stepFailed('sub_plan.failed', `the plan was not run: ${message}`);
}

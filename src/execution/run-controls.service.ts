import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { Database, type Tx } from '../database/database.js';
import type { AuditAction } from '../tenancy/audit/audit-event.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { ExecutionsService } from './executions.service.js';
import { assertMayControl, stateConflict, type ControlledExecution } from './run-controls.js';
import { RunDispatcher } from './run-dispatcher.js';
import { pauseExecution } from './sql/pause-execution.js';
import type { ExecutionKey } from './sql/read-execution.js';
import { resumeExecution } from './sql/resume-execution.js';
import { retryExecution } from './sql/retry-execution.js';

/** Stops executions for a while, lets them go on, and has failed ones tried again. */
@Injectable()
export class RunControlsService {
  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsService,
    private readonly dispatcher: RunDispatcher,
    private readonly audit: AuditService,
  ) {}

  /**
   * A queued execution rests at once. One that runs ends the steps that it has begun, begins no other,
   * and rests then; until that it stays `running` with `pause_requested`. Asking twice changes nothing.
   * @param waitSeconds how long the answer waits for it to rest
   * @throws AppError request.not_found, auth.forbidden, state.conflict when it rests or has finished
   */
  async pause(ctx: Ctx, id: string, waitSeconds: number): Promise<ControlledExecution> {
    assertMayControl(ctx, await this.executions.getExecution(ctx, id), 'pause');
    if (await this.change(ctx, id, { action: 'execution.paused', write: pauseExecution })) {
      this.dispatcher.pause(id);
    } else {
      const now = await this.executions.getExecution(ctx, id);
      if (!now.pause_requested) throw stateConflict(now, 'pause');
    }
    return await this.executions.waitUntil(ctx, id, {
      seconds: waitSeconds,
      isDone: ({ status }) => status !== 'running',
    });
  }

  /**
   * Puts a paused execution back into the queue, where this host takes it up at once if it has room;
   * takes back a pause that was asked for and hasn't happened yet.
   * @throws AppError request.not_found, auth.forbidden, state.conflict when there is nothing to resume
   */
  async resume(ctx: Ctx, id: string): Promise<ControlledExecution> {
    assertMayControl(ctx, await this.executions.getExecution(ctx, id), 'resume');
    if (!(await this.change(ctx, id, { action: 'execution.resumed', write: resumeExecution }))) {
      throw stateConflict(await this.executions.getExecution(ctx, id), 'resume');
    }
    this.dispatcher.takeUp();
    return await this.executions.getExecution(ctx, id);
  }

  /**
   * Has a failed execution go on from its failed steps: the same execution, so that providers see the
   * same idempotency keys. What had succeeded isn't run again.
   * @throws AppError request.not_found, auth.forbidden for all but its owner, as whom it goes on,
   *   state.conflict when it hasn't failed
   */
  async retry(ctx: Ctx, id: string): Promise<ControlledExecution> {
    const { owner_id: ownerId } = await this.executions.getExecution(ctx, id);
    if (ownerId !== ctx.userId) {
      throw new AppError(
        'auth.forbidden',
        "only its owner may retry an execution, since it goes on as that user, with that user's credentials; replay it to run it as yourself",
      );
    }
    if (!(await this.change(ctx, id, { action: 'execution.retried', write: retryExecution }))) {
      throw stateConflict(await this.executions.getExecution(ctx, id), 'retry');
    }
    this.dispatcher.takeUp();
    return await this.executions.getExecution(ctx, id);
  }

  /** One transition and the audit event that tells of it; false: it wasn't possible any more. */
  private async change(
    ctx: Ctx,
    id: string,
    change: { action: AuditAction; write: (tx: Tx, key: ExecutionKey) => Promise<boolean> },
  ): Promise<boolean> {
    const key = { tenantId: ctx.tenantId, executionId: id };
    return await this.database.withTenant(ctx, async (tx) => {
      const isChanged = await change.write(tx, key);
      if (isChanged) {
        const subject = { type: 'execution', id };
        await this.audit.record(tx, ctx, { action: change.action, subject });
      }
      return isChanged;
    });
  }
}

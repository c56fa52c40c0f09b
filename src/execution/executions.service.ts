import { setTimeout as delay } from 'node:timers/promises';

import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { firstOf } from '../common/first-of.js';
import { isUuid } from '../common/ids.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx, type TxCtx } from '../database/database.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { fillOutputs, outcomeBlobOf } from './blobs/fill-payloads.js';
import { readBlobHandles } from './blobs/read-blobs.js';
import { isFinished, type ExecutionStatus } from './execution-status.js';
import { toExecutionDetail, toExecutionView, type ExecutionView } from './execution-view.js';
import { Execution } from './execution.entity.js';
import {
  assertMayControl,
  stateConflict,
  toControlsView,
  type ControlledExecution,
} from './run-controls.js';
import { RunDispatcher } from './run-dispatcher.js';
import { RunStates, type ExecutionState } from './run-states.js';
import { findBlockingLimit } from './sql/blocking-limit.js';
import { cancelExecution } from './sql/cancel-execution.js';
import { findExecution, listJournal } from './sql/read-execution.js';

const POLL_MS = 100;

export interface ExecutionFilter {
  planId?: string | undefined;
  status?: ExecutionStatus | undefined;
}

export interface PageQuery {
  limit: number;
  cursor?: string;
}

@Injectable()
export class ExecutionsService {
  private readonly states: RunStates;

  constructor(
    private readonly database: Database,
    private readonly dispatcher: RunDispatcher,
    private readonly audit: AuditService,
  ) {
    this.states = new RunStates(database);
  }

  /** @throws AppError request.not_found, also for what the caller may not see. */
  async getExecution(ctx: TxCtx, id: string): Promise<ControlledExecution> {
    return await this.database.withTenant(ctx, (tx) => readDetail(tx, ctx, id));
  }

  /** How it stands, without its journal. @throws AppError request.not_found */
  async getState(ctx: TxCtx, id: string): Promise<ExecutionState> {
    return await this.states.get(ctx, id);
  }

  /** The execution when it has finished, or as it stands after `seconds`. */
  async waitForEnd(ctx: TxCtx, id: string, seconds: number): Promise<ControlledExecution> {
    return await this.waitUntil(ctx, id, { seconds, isDone: ({ status }) => isFinished(status) });
  }

  /** The execution when it has come as far as `isDone` says, or as it stands after `seconds`. */
  async waitUntil(
    ctx: TxCtx,
    id: string,
    { seconds, isDone }: { seconds: number; isDone: (state: ExecutionState) => boolean },
  ): Promise<ControlledExecution> {
    const deadline = performance.now() + seconds * 1000;
    while (performance.now() < deadline) {
      const here = this.dispatcher.whenEnded(id);
      if (here) await firstOf(here, deadline - performance.now());
      const state = await this.states.get(ctx, id);
      if (isDone(state) || this.dispatcher.isStopping) break;
      if (!here) await this.dispatcher.whenBegun(id, delay(POLL_MS));
    }
    return await this.getExecution(ctx, id);
  }

  /** Newest first; a large output is a handle, see showPayload. */
  async listExecutions(ctx: Ctx, query: PageQuery & ExecutionFilter): Promise<Page<ExecutionView>> {
    const views = await this.database.withTenant(ctx, async (tx) => {
      const { tenantId } = ctx;
      const cursor = decodeCursor(query.cursor);
      // Only what is asked for: a condition that may hold for all rows keeps an index from being used.
      const list = tx
        .createQueryBuilder(Execution, 'e')
        .where('e.tenantId = :tenantId', { tenantId });
      if (cursor !== null) list.andWhere('e.id < :cursor', { cursor });
      if (query.planId !== undefined) list.andWhere('e.planId = :planId', { planId: query.planId });
      if (query.status !== undefined) list.andWhere('e.status = :status', { status: query.status });
      const rows = await list
        .orderBy('e.id', 'DESC')
        .limit(query.limit + 1)
        .getMany();
      const ids = rows.flatMap((row) => outcomeBlobOf(row) ?? []);
      const handles = await readBlobHandles(tx, ctx, ids);
      return rows.map((row) => toExecutionView(row, handles));
    });
    return toPage(views, query.limit);
  }

  /**
   * Ends an execution at once: whatever runs of it is killed and writes nothing more.
   * @throws AppError request.not_found, state.conflict when it had finished, auth.forbidden
   */
  async cancelExecution(ctx: Ctx, id: string): Promise<ControlledExecution> {
    assertMayControl(ctx, await this.getExecution(ctx, id), 'cancel');
    const cancelled = await this.database.withTenant(ctx, async (tx) => {
      const isCancelled = await cancelExecution(tx, { tenantId: ctx.tenantId, executionId: id });
      if (isCancelled) {
        const subject = { type: 'execution', id };
        await this.audit.record(tx, ctx, { action: 'execution.cancelled', subject });
      }
      return isCancelled;
    });
    this.dispatcher.abort(id);
    const after = await this.getExecution(ctx, id);
    if (cancelled) return after;
    throw stateConflict(after, 'cancel');
  }
}

async function readDetail(tx: Tx, ctx: TxCtx, id: string): Promise<ControlledExecution> {
  const key = { tenantId: ctx.tenantId, executionId: id };
  const row = isUuid(id) ? await findExecution(tx, key) : null;
  if (!row) throw new AppError('request.not_found', `there is no execution ${id}`);
  const limit = row.status === 'queued' ? await findBlockingLimit(tx, id) : null;
  const logs = await listJournal(tx, key);
  await fillOutputs(tx, row, logs);
  return {
    ...toExecutionDetail(row, logs),
    ...toControlsView(row),
    ...(limit && { held_by_limit: limit }),
  };
}

import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { Inject, Injectable } from '@nestjs/common';

import { systemClock } from '../common/clock.js';
import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid, newId } from '../common/ids.js';
import { canonicalJson, type JsonObject, type JsonValue } from '../common/json.js';
import type { StepError } from '../common/provider-result.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import type { Visibility } from '../plans/plan.entity.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { fillOutputs, outcomeBlobOf } from './blobs/fill-payloads.js';
import { readBlobHandles, readHandlesOf } from './blobs/read-blobs.js';
import { ExecutionLog } from './execution-log.entity.js';
import { isFinished, type ExecutionStatus } from './execution-status.js';
import {
  toExecutionDetail,
  toExecutionView,
  toLogView,
  type ExecutionView,
  type LogView,
} from './execution-view.js';
import { Execution } from './execution.entity.js';
import { RecentLimits } from './limits/recent-limits.js';
import {
  assertMayControl,
  stateConflict,
  toControlsView,
  type ControlledExecution,
} from './run-controls.js';
import { RunDispatcher } from './run-dispatcher.js';
import {
  RUN_STORE,
  type JournalEntry,
  type RunDefinition,
  type RunStore,
  type RunTrigger,
} from './run-store.js';
import { findBlockingLimit } from './sql/blocking-limit.js';
import { cancelExecution } from './sql/cancel-execution.js';
import { findExecution, listJournal } from './sql/read-execution.js';

const POLL_MS = 100;

export interface StartExecution {
  definition: RunDefinition;
  plan: { id: string; version: number } | null;
  visibility: Visibility;
  trigger: RunTrigger;
  /** What `trigger` reads in references; absent when there is nothing more to tell. */
  triggerData?: JsonObject;
  input: JsonValue;
  /** Of the Idempotency-Key header; null when there was none. */
  idempotencyKey: string | null;
  /** What it repeats; absent when it is the first of its kind. */
  origin?: RunOrigin;
}

/** What became of an execution that somebody waited for. */
export interface RunResult {
  executionId: string;
  /** Null: it has not ended yet. */
  end: {
    status: 'success' | 'error' | 'cancelled';
    output: JsonValue;
    error: StepError | null;
  } | null;
}

export interface RunOrigin {
  executionId: string;
  /** Null: all of it is run again. */
  fromStep: string | null;
  /** Results that it begins with. */
  journal: JournalEntry[];
}

export interface ExecutionFilter {
  planId?: string | undefined;
  status?: ExecutionStatus | undefined;
}

export interface LogFilter {
  planId?: string | undefined;
  executionId?: string | undefined;
  provider?: string | undefined;
  status?: 'success' | 'error' | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

/** What can be waited for. */
export type ExecutionState = Pick<ControlledExecution, 'status' | 'pause_requested'>;

export interface PageQuery {
  limit: number;
  cursor?: string;
}

@Injectable()
export class ExecutionsService {
  constructor(
    private readonly database: Database,
    @Inject(RUN_STORE) private readonly store: RunStore,
    private readonly dispatcher: RunDispatcher,
    private readonly limits: RecentLimits,
    private readonly audit: AuditService,
  ) {}

  /**
   * Stores an execution and begins it on this host if there is room, else queues it.
   * @returns its id, durable; the same id again for a repeated idempotency key.
   * @throws AppError idempotency.key_reused
   */
  async start(ctx: Ctx, start: StartExecution): Promise<string> {
    return (await this.accept(ctx, start)).executionId;
  }

  /** The same, and whether it is a new one. */
  async accept(ctx: Ctx, start: StartExecution): Promise<{ executionId: string; isNew: boolean }> {
    const id = newId();
    const { definition } = start;
    const isLimited = await this.limits.concern(ctx, {
      planId: start.plan?.id ?? null,
      definition,
    });
    const hostId = isLimited
      ? null
      : this.dispatcher.reserve({ executionId: id, tenantId: ctx.tenantId });
    try {
      const accepted = await this.store.accept({
        id,
        tenantId: ctx.tenantId,
        tenantName: ctx.tenantName,
        ownerId: ctx.userId,
        planId: start.plan?.id ?? null,
        planVersion: start.plan?.version ?? null,
        definition,
        visibility: start.visibility,
        trigger: start.trigger,
        triggerData: start.triggerData ?? null,
        input: start.input,
        idempotency:
          start.idempotencyKey === null
            ? null
            : { key: start.idempotencyKey, requestHash: hashRequest(start) },
        hostId,
        originId: start.origin?.executionId ?? null,
        parent: null,
        journal: start.origin?.journal ?? [],
      });
      if (accepted.kind === 'key_reused') {
        throw new AppError(
          'idempotency.key_reused',
          'this Idempotency-Key was sent with another request before; use a new key for a new request',
        );
      }
      if (accepted.kind === 'new' && accepted.run) void this.dispatcher.launch(accepted.run);
      return { executionId: accepted.executionId, isNew: accepted.kind === 'new' };
    } finally {
      this.dispatcher.release(id);
    }
  }

  /**
   * Begins an execution and waits for its end, at most `seconds`.
   * @throws AppError idempotency.key_reused
   */
  async runToEnd(ctx: Ctx, start: StartExecution, seconds: number): Promise<RunResult> {
    const executionId = await this.start(ctx, start);
    const { status, output, error } = await this.waitForEnd(ctx, executionId, seconds);
    const hasEnded = status === 'success' || status === 'error' || status === 'cancelled';
    return { executionId, end: hasEnded ? { status, output, error } : null };
  }

  /** @throws AppError request.not_found, also for what the caller may not see. */
  async getExecution(ctx: Ctx, id: string): Promise<ControlledExecution> {
    return await this.database.withTenant(ctx, (tx) => readDetail(tx, ctx, id));
  }

  /** The execution when it has finished, or as it stands after `seconds`. */
  async waitForEnd(ctx: Ctx, id: string, seconds: number): Promise<ControlledExecution> {
    return await this.waitUntil(ctx, id, { seconds, isDone: ({ status }) => isFinished(status) });
  }

  /** The execution when it has come as far as `isDone` says, or as it stands after `seconds`. */
  async waitUntil(
    ctx: Ctx,
    id: string,
    { seconds, isDone }: { seconds: number; isDone: (state: ExecutionState) => boolean },
  ): Promise<ControlledExecution> {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const leftMs = deadline - performance.now();
      const here = this.dispatcher.whenEnded(id);
      if (here && leftMs > 0) await firstOf(here, leftMs);
      const state = await this.getState(ctx, id);
      if (isDone(state) || performance.now() >= deadline || this.dispatcher.isStopping) {
        return await this.getExecution(ctx, id);
      }
      if (!here) await delay(POLL_MS);
    }
  }

  /** How it stands, without its journal: whoever waits asks often. */
  private async getState(ctx: Ctx, id: string): Promise<ExecutionState> {
    const [state] = await this.database.withTenant(ctx, (tx) =>
      tx.query<ExecutionState[]>(
        'select status, pause_requested from executions where tenant_id = $1 and id = $2',
        [ctx.tenantId, isUuid(id) ? id : null],
      ),
    );
    if (!state) throw new AppError('request.not_found', `there is no execution ${id}`);
    return state;
  }

  /** Newest first; a large output is a handle, see showPayload. */
  async listExecutions(ctx: Ctx, query: PageQuery & ExecutionFilter): Promise<Page<ExecutionView>> {
    const views = await this.database.withTenant(ctx, async (tx) => {
      const rows = await tx
        .createQueryBuilder(Execution, 'e')
        .where('e.tenantId = :tenantId', { tenantId: ctx.tenantId })
        .andWhere('(:cursor::uuid is null or e.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere('(:plan::uuid is null or e.planId = :plan::uuid)', { plan: query.planId ?? null })
        .andWhere('(:status::text is null or e.status = :status::text)', {
          status: query.status ?? null,
        })
        .orderBy('e.id', 'DESC')
        .limit(query.limit + 1)
        .getMany();
      const ids = rows.flatMap((row) => outcomeBlobOf(row) ?? []);
      const handles = await readBlobHandles(tx, ctx, ids);
      return rows.map((row) => toExecutionView(row, handles));
    });
    return toPage(views, query.limit);
  }

  /** Attempts that have ended, newest first; large inputs and outputs are handles, see showPayload. */
  async listLogs(ctx: Ctx, query: PageQuery & LogFilter): Promise<Page<LogView>> {
    const views = await this.database.withTenant(ctx, async (tx) => {
      const rows = await tx
        .createQueryBuilder(ExecutionLog, 'l')
        .where(`l.tenantId = :tenantId and l.status in ('success', 'error')`, {
          tenantId: ctx.tenantId,
        })
        .andWhere('(:cursor::uuid is null or l.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere('(:plan::uuid is null or l.planId = :plan::uuid)', { plan: query.planId ?? null })
        .andWhere('(:execution::uuid is null or l.executionId = :execution::uuid)', {
          execution: query.executionId ?? null,
        })
        .andWhere('(:provider::text is null or l.provider = :provider::text)', {
          provider: query.provider ?? null,
        })
        .andWhere('(:status::text is null or l.status = :status::text)', {
          status: query.status ?? null,
        })
        .andWhere('(:from::timestamptz is null or l.finishedAt >= :from::timestamptz)', {
          from: query.from ?? null,
        })
        .andWhere('(:to::timestamptz is null or l.finishedAt < :to::timestamptz)', {
          to: query.to ?? null,
        })
        .orderBy('l.id', 'DESC')
        .limit(query.limit + 1)
        .getMany();
      const handles = await readHandlesOf(tx, ctx, rows);
      return rows.map((row) => toLogView(row, handles));
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

/** Returns when `ended` does, or after `ms`; leaves no timer behind. */
async function firstOf(ended: Promise<void>, ms: number): Promise<void> {
  const timer = new AbortController();
  await Promise.race([ended, systemClock.sleep(ms, timer.signal)]);
  timer.abort();
}

async function readDetail(tx: Tx, ctx: Ctx, id: string): Promise<ControlledExecution> {
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

/** Equal for requests that ask for the same: same plan or steps, same input, same origin. */
function hashRequest(start: StartExecution): string {
  const what: JsonObject = {
    plan: start.plan?.id ?? null,
    steps: start.plan ? null : (start.definition.steps as unknown as JsonValue),
    given: (start.definition.given ?? null) as unknown as JsonValue,
    input: start.input,
    trigger: start.trigger,
    // Left out where there is none: keys stored before there were any keep their meaning.
    ...(start.origin && {
      origin: start.origin.executionId,
      from_step: start.origin.fromStep,
      version: start.plan?.version ?? null,
    }),
  };
  return createHash('sha256').update(canonicalJson(what)).digest('hex');
}

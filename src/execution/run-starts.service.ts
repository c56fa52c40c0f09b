import { createHash } from 'node:crypto';

import { Inject, Injectable } from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import { isConnectionLost } from '../common/connection-lost.js';
import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { firstOf } from '../common/first-of.js';
import { newId } from '../common/ids.js';
import { canonicalJson, type JsonObject, type JsonValue } from '../common/json.js';
import type { StepError } from '../common/provider-result.js';
import type { Visibility } from '../plans/plan.entity.js';
import { BlobHandle, HeldList } from './blobs/blob-handle.js';
import { bornRunning } from './born-running.js';
import { toAcceptedDetail } from './accepted-detail.js';
import type { ExecutionStatus } from './execution-status.js';
import type { ExecutionDetail } from './execution-view.js';
import { ExecutionsService } from './executions.service.js';
import { RecentLimits } from './limits/recent-limits.js';
import { RunDispatcher, type Launched } from './run-dispatcher.js';
import {
  RUN_STORE,
  type JournalEntry,
  type NewRun,
  type RunDefinition,
  type RunOutcome,
  type RunOutput,
  type RunStore,
  type RunTrigger,
} from './run-store.js';

/** Who starts it, and whom it runs as. */
export type StartCtx = Pick<Ctx, 'tenantId' | 'tenantName' | 'userId' | 'role'>;

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
  status: ExecutionStatus;
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

/** An execution that is durable. */
export interface Started {
  executionId: string;
  /** Not for a repeated idempotency key. */
  isNew: boolean;
  status: ExecutionStatus;
}

/** One that was begun for somebody who waits for it. */
interface Begun extends Pick<Started, 'executionId' | 'status'> {
  /** Null: it has not ended in time, or not here. */
  outcome: RunOutcome | null;
  secondsLeft: number;
}

/** Starts executions: here, where there is a place, else through the queue. */
@Injectable()
export class RunStarts {
  constructor(
    @Inject(RUN_STORE) private readonly runs: RunStore,
    private readonly dispatcher: RunDispatcher,
    private readonly limits: RecentLimits,
    private readonly executions: ExecutionsService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Stores an execution and begins it on this host if there is room, else queues it.
   * @returns when it is durable; the same id again for a repeated idempotency key.
   * @throws AppError idempotency.key_reused
   */
  async start(ctx: StartCtx, start: StartExecution): Promise<Started> {
    const { executionId, isNew, launched } = await this.store(await this.makeRun(ctx, start));
    if (isNew) return { executionId, isNew, status: launched ? 'running' : 'queued' };
    return { executionId, isNew, status: await this.findStatus(ctx, executionId) };
  }

  /**
   * Begins an execution and waits for its end, at most `seconds`.
   * @throws AppError idempotency.key_reused
   */
  async runToEnd(ctx: StartCtx, start: StartExecution, seconds: number): Promise<RunResult> {
    const begun = await this.beginAndWait(ctx, start, seconds);
    const { executionId, outcome } = begun;
    if (outcome && isShowable(outcome.output)) {
      const { status, output } = outcome;
      const error = outcome.status === 'error' ? outcome.error : null;
      return { executionId, status, end: { status, output, error } };
    }
    const { status, output, error } = await this.look(ctx, begun, start);
    const hasEnded = status === 'success' || status === 'error' || status === 'cancelled';
    return { executionId, status, end: hasEnded ? { status, output, error } : null };
  }

  /** The same, answered as it is stored. */
  async startAndWait(
    ctx: StartCtx,
    start: StartExecution,
    seconds: number,
  ): Promise<ExecutionDetail> {
    if (seconds > 0)
      return await this.look(ctx, await this.beginAndWait(ctx, start, seconds), start);
    const started = await this.start(ctx, start);
    return await this.look(ctx, { ...started, outcome: null, secondsLeft: 0 }, start);
  }

  /** The execution as it stands when it has ended or the time is over; as far as is known, when the database goes away. */
  private async look(ctx: StartCtx, begun: Begun, start: StartExecution): Promise<ExecutionDetail> {
    const { executionId, outcome, secondsLeft } = begun;
    try {
      // What has ended need not be looked for first.
      if (outcome) return await this.executions.getExecution(ctx, executionId);
      return await this.executions.waitForEnd(ctx, executionId, secondsLeft);
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
      return toAcceptedDetail(ctx, begun, start);
    }
  }

  /**
   * Nobody is told of the execution before it has ended or the time is over: where it finds a place here
   * at once, it is walked before it is stored, and often stored once, whole.
   */
  private async beginAndWait(
    ctx: StartCtx,
    start: StartExecution,
    seconds: number,
  ): Promise<Begun> {
    const deadline = performance.now() + seconds * 1000;
    const run = await this.makeRun(ctx, start);
    const { executionId, launched } =
      run.hostId === null || run.idempotency !== null
        ? await this.store(run)
        : { executionId: run.id, launched: this.launchUnstored(run, run.hostId) };
    let outcome: RunOutcome | null = null;
    if (launched) {
      outcome = await firstOf(launched.ended, deadline - performance.now());
      if (!outcome) await launched.whenStored();
    }
    const status = launched ? 'running' : 'queued';
    return { executionId, status, outcome, secondsLeft: (deadline - performance.now()) / 1000 };
  }

  private launchUnstored(run: NewRun, hostId: string): Launched {
    const startedAt = new Date(this.clock.now());
    return this.dispatcher.launch(bornRunning(run, hostId, startedAt, { isStored: false }));
  }

  /** A run with a place on this host, which `launch` takes, or on none. */
  private async makeRun(ctx: StartCtx, start: StartExecution): Promise<NewRun> {
    const id = newId();
    const { definition } = start;
    const isLimited = await this.limits.concern(ctx, {
      planId: start.plan?.id ?? null,
      definition,
    });
    return {
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
      originId: start.origin?.executionId ?? null,
      parent: null,
      journal: start.origin?.journal ?? [],
      hostId: isLimited
        ? null
        : this.dispatcher.reserve({ executionId: id, tenantId: ctx.tenantId }),
    };
  }

  private async store(
    run: NewRun,
  ): Promise<{ executionId: string; isNew: boolean; launched: Launched | null }> {
    try {
      const accepted = await this.runs.accept(run);
      if (accepted.kind === 'key_reused') {
        throw new AppError(
          'idempotency.key_reused',
          'this Idempotency-Key was sent with another request before; use a new key for a new request',
        );
      }
      const isNew = accepted.kind === 'new';
      const launched = isNew && accepted.run ? this.dispatcher.launch(accepted.run) : null;
      return { executionId: accepted.executionId, isNew, launched };
    } finally {
      this.dispatcher.release(run.id);
    }
  }

  /** While the database is away the spool alone knows it: queued. */
  private async findStatus(ctx: StartCtx, executionId: string): Promise<ExecutionStatus> {
    try {
      return (await this.executions.getState(ctx, executionId)).status;
    } catch (error) {
      if (isConnectionLost(error)) return 'queued';
      throw error;
    }
  }
}

/** Whether it is the value itself, and not where that stands. */
function isShowable(output: RunOutput): output is JsonValue {
  return !(output instanceof BlobHandle) && !(output instanceof HeldList);
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

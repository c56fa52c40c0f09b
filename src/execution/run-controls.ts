import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { statusesBefore, type ExecutionEvent, type ExecutionStatus } from './execution-status.js';
import type { ExecutionDetail } from './execution-view.js';
import type { Execution } from './execution.entity.js';
import type { BlockingLimit } from './sql/blocking-limit.js';

/** What people do with an execution that is there; replay and fork make another one of it. */
export type RunControl = 'pause' | 'resume' | 'retry' | 'cancel';

export interface RunControlsView {
  /** It runs, and its host was asked to stop at the next step. */
  pause_requested: boolean;
  /** The execution that it repeats, all of it or from a step on. */
  origin_id: string | null;
  /** The execution one of whose steps runs this plan. */
  parent_id: string | null;
  /** While it waits: when it goes on by itself at the latest, ISO 8601; null: only when told. */
  wake_at: string | null;
  /** It is queued, and this limit lets no more begin. */
  held_by_limit?: BlockingLimit;
}

export type ControlledExecution = ExecutionDetail & RunControlsView;

export function toControlsView(row: Execution): RunControlsView {
  return {
    // One that ended before its next step keeps the mark, and nobody waits for it any more.
    pause_requested: row.pauseRequested && row.status === 'running',
    origin_id: row.originId,
    parent_id: row.parentId,
    wake_at: row.wakeAt?.toISOString() ?? null,
  };
}

/** @throws AppError auth.forbidden for members who may see an execution and don't own it */
export function assertMayControl(
  ctx: Ctx,
  execution: ExecutionDetail,
  control: Exclude<RunControl, 'retry'>,
): void {
  if (ctx.role === 'admin' || execution.owner_id === ctx.userId) return;
  throw new AppError(
    'auth.forbidden',
    `only its owner and tenant admins may ${control} an execution`,
  );
}

/** Says how the execution stands, and what can be done with it instead. */
export function stateConflict(execution: ControlledExecution, control: RunControl): AppError {
  const { status, pause_requested: isPausing } = execution;
  const possible = (Object.keys(CONTROLS) as RunControl[])
    .filter((one) => mayHappen(one, status) || (one === 'resume' && isPausing))
    .map((one) => CONTROLS[one].done);
  const others = [...possible, 'replayed'].join(', ');
  return new AppError(
    'state.conflict',
    `the execution's status is ${status}: it can't be ${CONTROLS[control].done}; it can be ${others} or forked`,
  );
}

const CONTROLS: Record<RunControl, { event: ExecutionEvent; done: string }> = {
  pause: { event: 'paused', done: 'paused' },
  resume: { event: 'resumed', done: 'resumed' },
  retry: { event: 'retried', done: 'retried' },
  cancel: { event: 'cancelled', done: 'cancelled' },
};

function mayHappen(control: RunControl, status: ExecutionStatus): boolean {
  return statusesBefore(CONTROLS[control].event).includes(status);
}

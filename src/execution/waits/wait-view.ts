import type { ExecutionWait, WaitKind } from './execution-wait.entity.js';

/** An open wait as the API shows it. Times are ISO 8601. */
export interface WaitView {
  id: string;
  execution_id: string;
  plan_id: string | null;
  step_id: string;
  /** 0; with `for_each` the place of the item. */
  iteration: number;
  kind: WaitKind;
  /** What an approval is about. */
  message: string | null;
  /** When a timer ends, and when a callback or an approval fails; null: never by itself. */
  wake_at: string | null;
  created_at: string;
  /** Where to POST what it waits for; null for who may not decide, and where nobody can. */
  url: string | null;
}

/** What a POST to the link of a wait is answered with. */
export interface ResolvedWaitView {
  status: 'resolved';
  execution_id: string;
}

export function toWaitView(row: ExecutionWait, url: string | null): WaitView {
  return {
    id: row.id,
    execution_id: row.executionId,
    plan_id: row.planId,
    step_id: row.stepId,
    iteration: row.iteration,
    kind: row.kind,
    message: row.message,
    wake_at: row.wakeAt?.toISOString() ?? null,
    created_at: row.createdAt.toISOString(),
    url,
  };
}

/** Whether somebody outside can end such a wait. */
export function isDecidable(kind: WaitKind | null): kind is 'callback' | 'approval' {
  return kind === 'callback' || kind === 'approval';
}

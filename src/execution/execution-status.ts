export type ExecutionStatus =
  'queued' | 'running' | 'waiting' | 'paused' | 'success' | 'error' | 'cancelled';

export type ExecutionEvent = 'claimed' | 'succeeded' | 'failed' | 'cancelled';

/** The whole life of an execution. A status changes only along this table. */
const TRANSITIONS: Record<ExecutionStatus, Partial<Record<ExecutionEvent, ExecutionStatus>>> = {
  queued: { claimed: 'running', cancelled: 'cancelled' },
  running: { claimed: 'running', succeeded: 'success', failed: 'error', cancelled: 'cancelled' },
  waiting: { cancelled: 'cancelled' },
  paused: { cancelled: 'cancelled' },
  success: {},
  error: {},
  cancelled: {},
};

/** The statuses in which `event` may happen: what an UPDATE puts into its WHERE. */
export function statusesBefore(event: ExecutionEvent): ExecutionStatus[] {
  return (Object.keys(TRANSITIONS) as ExecutionStatus[]).filter((from) => TRANSITIONS[from][event]);
}

export function isFinished(status: ExecutionStatus): boolean {
  return Object.keys(TRANSITIONS[status]).length === 0;
}

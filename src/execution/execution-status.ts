export type ExecutionStatus =
  'queued' | 'running' | 'waiting' | 'paused' | 'success' | 'error' | 'cancelled';

export type ExecutionEvent =
  | 'claimed'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'paused'
  | 'resumed'
  | 'retried'
  | 'rested'
  | 'woken';

/** The whole life of an execution. A status changes only along this table. */
const TRANSITIONS: Record<ExecutionStatus, Partial<Record<ExecutionEvent, ExecutionStatus>>> = {
  queued: { claimed: 'running', cancelled: 'cancelled', paused: 'paused' },
  running: {
    claimed: 'running',
    succeeded: 'success',
    failed: 'error',
    cancelled: 'cancelled',
    paused: 'paused',
    rested: 'waiting',
  },
  waiting: { cancelled: 'cancelled', paused: 'paused', woken: 'queued' },
  paused: { cancelled: 'cancelled', resumed: 'queued' },
  success: {},
  error: { retried: 'queued' },
  cancelled: {},
};

/** The statuses in which `event` may happen: what an UPDATE puts into its WHERE. */
export function statusesBefore(event: ExecutionEvent): ExecutionStatus[] {
  return (Object.keys(TRANSITIONS) as ExecutionStatus[]).filter((from) => TRANSITIONS[from][event]);
}

/** Whether nothing of it goes on by itself any more. */
export function isFinished(status: ExecutionStatus): boolean {
  return status === 'success' || status === 'error' || status === 'cancelled';
}

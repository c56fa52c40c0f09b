import type { JsonValue } from '../../common/json.js';
import type { StepError } from '../../common/provider-result.js';
import type { Database } from '../../database/database.js';
import type { ExecutionStatus } from '../execution-status.js';
import type { Lease, WaitPlaceKey, WaitState } from '../run-store.js';
import type { WaitStatus } from '../waits/execution-wait.entity.js';

/** Ends the waits of a leased run whose time has come, and tells of some. None: the lease is lost. */
export async function settleWaits(
  database: Pick<Database, 'query'>,
  { tenantId, executionId, hostId, epoch }: Lease,
  places: readonly WaitPlaceKey[],
): Promise<WaitState[]> {
  const rows = await database.query<WaitRow>('select * from settle_waits($1, $2, $3, $4, $5, $6)', [
    ...[tenantId, executionId, hostId, epoch],
    places.map(({ stepId }) => stepId),
    places.map(({ iteration }) => iteration),
  ]);
  return rows.map((row) => ({
    stepId: row.step_id,
    iteration: row.iteration,
    attempt: row.attempt,
    status: row.status,
    payload: row.payload,
    endedAt: row.ended_at,
    dueInMs: row.due_in_ms,
    child:
      row.child_id !== null && row.child_status !== null
        ? {
            id: row.child_id,
            status: row.child_status,
            output: row.child_output,
            outputBlob: row.child_output_blob,
            error: row.child_error,
          }
        : null,
  }));
}

interface WaitRow {
  step_id: string;
  iteration: number;
  attempt: number | null;
  status: WaitStatus;
  payload: JsonValue;
  ended_at: Date | null;
  due_in_ms: number | null;
  child_id: string | null;
  child_status: ExecutionStatus | null;
  child_output: JsonValue;
  child_output_blob: string | null;
  child_error: StepError | null;
}

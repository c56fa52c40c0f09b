import { toStorableJson } from '../../common/json.js';
import type { Tx } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';
import type { Lease, RunOutcome } from '../run-store.js';

/** False: the lease is lost, and nothing was written. */
export async function finishExecution(tx: Tx, lease: Lease, outcome: RunOutcome): Promise<boolean> {
  const rows: unknown[] = await tx.query(
    `with done as (
       update executions set status = $5, output = $6, error = $7, finished_at = now()
        where tenant_id = $1 and id = $2 and host_id = $3 and lease_epoch = $4 and status = any ($8)
       returning id)
     select id from done`,
    [
      lease.tenantId,
      lease.executionId,
      lease.hostId,
      lease.epoch,
      outcome.status,
      toStorableJson(outcome.output),
      outcome.status === 'error' ? toStorableJson(outcome.error) : null,
      statusesBefore(outcome.status === 'success' ? 'succeeded' : 'failed'),
    ],
  );
  return rows.length === 1;
}

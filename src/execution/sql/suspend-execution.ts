import type { Tx } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';
import type { Lease } from '../run-store.js';

/** False: the lease is lost, and nothing was written. */
export async function suspendExecution(tx: Tx, lease: Lease): Promise<boolean> {
  const rows: unknown[] = await tx.query(
    `with rested as (
       update executions set status = 'paused', host_id = null, pause_requested = false
        where tenant_id = $1 and id = $2 and host_id = $3 and lease_epoch = $4 and status = any ($5)
       returning id)
     select id from rested`,
    [lease.tenantId, lease.executionId, lease.hostId, lease.epoch, statusesBefore('paused')],
  );
  return rows.length === 1;
}

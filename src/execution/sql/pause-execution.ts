import type { Tx } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';
import type { ExecutionKey } from './read-execution.js';

/**
 * Pauses what waits in the queue, and asks the host that walks a running one to stop at its next
 * step. False: there was nothing to pause, or it was asked for before.
 */
export async function pauseExecution(tx: Tx, key: ExecutionKey): Promise<boolean> {
  const rows: unknown[] = await tx.query(
    `with asked as (
       update executions
          set status = case when status = 'running' then status else 'paused' end,
              pause_requested = status = 'running', wake_at = null
        where tenant_id = $1 and id = $2 and status = any ($3) and not pause_requested
       returning id)
     select id from asked`,
    [key.tenantId, key.executionId, statusesBefore('paused')],
  );
  return rows.length === 1;
}

import type { Tx } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';
import type { ExecutionKey } from './read-execution.js';

/**
 * Queues a paused execution, or takes back the request of one that still runs: a host that heard of
 * it already lets go of the run without resting it (see the trigger on executions). False: neither.
 */
export async function resumeExecution(tx: Tx, key: ExecutionKey): Promise<boolean> {
  const rows: unknown[] = await tx.query(
    `with resumed as (
       update executions
          set status = case when status = 'running' then status else 'queued' end,
              pause_requested = false
        where tenant_id = $1 and id = $2
          and (status = any ($3) or (status = 'running' and pause_requested))
       returning id)
     select id from resumed`,
    [key.tenantId, key.executionId, statusesBefore('resumed')],
  );
  return rows.length === 1;
}

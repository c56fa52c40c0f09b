import type { Tx } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';

/**
 * Cancels an unfinished execution and raises its epoch, so that whoever walks it can write nothing
 * more; attempts that were under way end as cancelled. False: it had finished before.
 */
export async function cancelExecution(
  tx: Tx,
  input: { tenantId: string; executionId: string },
): Promise<boolean> {
  const error = JSON.stringify({
    code: 'step.cancelled',
    message: 'the execution was cancelled while this step ran; its effect may have happened',
    retryable: false,
  });
  const rows: unknown[] = await tx.query(
    `with cancelled as (
       update executions
          set status = 'cancelled', lease_epoch = lease_epoch + 1, finished_at = now(),
              pause_requested = false
        where tenant_id = $1 and id = $2 and status = any ($3)
       returning tenant_id, id
     ), attempts as (
       update execution_logs l
          set status = 'error', error = $4::jsonb, message = $4::jsonb->>'message', finished_at = now()
         from cancelled c
        where l.tenant_id = c.tenant_id and l.execution_id = c.id
          and l.status in ('started', 'waiting')
     )
     select id from cancelled`,
    [input.tenantId, input.executionId, statusesBefore('cancelled'), error],
  );
  return rows.length === 1;
}

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
  const error = (message: string): string =>
    JSON.stringify({ code: 'step.cancelled', message, retryable: false });
  const rows: unknown[] = await tx.query(
    `with cancelled as (
       update executions
          set status = 'cancelled', lease_epoch = lease_epoch + 1, finished_at = now(),
              pause_requested = false, wake_at = null
        where tenant_id = $1 and id = $2 and status = any ($3)
       returning tenant_id, id
     ), attempts as (
       update execution_logs l
          set status = 'error', error = e.error, message = e.error->>'message', finished_at = now()
         from cancelled c
        cross join (values ('started', $4::jsonb), ('waiting', $5::jsonb)) as e (status, error)
        where l.tenant_id = c.tenant_id and l.execution_id = c.id and l.execution_id = $2
          and l.status = e.status
     )
     select id from cancelled`,
    [
      ...[input.tenantId, input.executionId, statusesBefore('cancelled')],
      error('the execution was cancelled while this step ran; its effect may have happened'),
      error('the execution was cancelled while this step waited'),
    ],
  );
  return rows.length === 1;
}

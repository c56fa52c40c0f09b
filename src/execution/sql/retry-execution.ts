import type { Tx } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';
import { WHOLE_STEP } from '../run-store.js';
import type { ExecutionKey } from './read-execution.js';

/**
 * Queues a failed execution again, with its failures forgiven: where the last attempt was an error, it
 * no longer counts, and neither do those before it. Failures that the plan let pass (a step with
 * `on_error: continue`, items of a `for_each` that succeeded as a whole) stay, since later steps were
 * built on them. An intent without a result, of a run that was given up, ends as unknown. False: it
 * hadn't failed.
 */
export async function retryExecution(tx: Tx, key: ExecutionKey): Promise<boolean> {
  const unknown = JSON.stringify({
    code: 'outcome.unknown',
    message:
      'the execution was given up while this step ran, so its effect may or may not have happened',
    retryable: false,
  });
  const rows: unknown[] = await tx.query(
    `with failed as (
       select tenant_id, id, definition->'steps' as steps from executions
        where tenant_id = $1 and id = $2 and status = any ($3)
        for update
     ), last as (
       select distinct on (l.step_id, l.iteration)
              l.tenant_id, l.step_id, l.iteration, l.attempt, l.status
         from failed f
         join execution_logs l on l.tenant_id = f.tenant_id and l.execution_id = f.id
          and l.execution_id = $2
        order by l.step_id, l.iteration, l.attempt desc
     ), forgiven as (
       select coalesce(jsonb_object_agg(l.step_id || '#' || l.iteration, l.attempt), '{}') as attempts
         from last l cross join failed f
        where (l.status = 'error' or (l.status = 'started' and l.iteration <> $5))
          and not f.steps @> jsonb_build_array(
                jsonb_build_object('id', l.step_id, 'on_error', 'continue'))
          and not exists (select from last w
                           where w.step_id = l.step_id and w.iteration = $5 and w.status = 'success')
     ), unknown as (
       update execution_logs l
          set status = 'error', error = $4::jsonb, message = $4::jsonb->>'message', finished_at = now()
         from last
        where l.tenant_id = last.tenant_id and l.execution_id = $2 and l.step_id = last.step_id
          and l.iteration = last.iteration and l.attempt = last.attempt and last.status = 'started'
          and last.iteration <> $5
     ), retried as (
       update executions e
          set status = 'queued', output = null, error = null, finished_at = null, host_id = null,
              lease_epoch = e.lease_epoch + 1, pause_requested = false,
              forgiven = coalesce(e.forgiven, '{}') || forgiven.attempts
         from failed f cross join forgiven
        where e.tenant_id = f.tenant_id and e.id = f.id
       returning e.id)
     select id from retried`,
    [key.tenantId, key.executionId, statusesBefore('retried'), unknown, WHOLE_STEP],
  );
  return rows.length === 1;
}

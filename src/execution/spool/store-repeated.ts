import type { Database } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';
import { acceptRun, flushRuns } from '../sql/flush-runs.js';
import type { SpoolableRun } from './spooled-run.js';

/**
 * The database knew the idempotency key of a spooled run: its work was begun before, under another id. The id
 * that was given out meanwhile tells so: an execution without steps, cancelled, that names the first one. In one
 * transaction: nobody sees it queued.
 */
export async function storeRepeated(
  database: Pick<Database, 'withTenant'>,
  { run, firstId }: { run: SpoolableRun; firstId: string },
): Promise<void> {
  const { id, tenantId, ownerId } = run;
  const definition = { ...run.definition, steps: [], pins: {} };
  const accept = acceptRun({ ...run, definition, idempotency: null, originId: firstId });
  const error = JSON.stringify({
    code: 'step.cancelled',
    message: `nothing was run: this Idempotency-Key had begun execution ${firstId} before`,
    retryable: false,
  });
  await database.withTenant({ tenantId, userId: ownerId, role: 'user' }, async (tx) => {
    await flushRuns({ query: async (sql, params) => await tx.query(sql, params) }, [
      { kind: accept.kind, text: accept.encode() },
    ]);
    await tx.query(
      `update executions
          set status = 'cancelled', lease_epoch = lease_epoch + 1, finished_at = now(), error = $3
        where tenant_id = $1 and id = $2 and status = any ($4)`,
      [tenantId, id, error, statusesBefore('cancelled')],
    );
  });
}

import type { Database } from '../../database/database.js';
import { statusesBefore } from '../execution-status.js';
import type { RunStore } from '../run-store.js';
import type { SpoolableRun } from './spooled-run.js';

/**
 * The database knew the idempotency key of a spooled run: its work was begun before, under another id. The id
 * that was given out meanwhile tells so: an execution without steps, cancelled, that names the first one.
 */
export async function storeRepeated(
  { store, database }: { store: Pick<RunStore, 'accept'>; database: Pick<Database, 'withTenant'> },
  { run, firstId }: { run: SpoolableRun; firstId: string },
): Promise<void> {
  const { id, tenantId, ownerId } = run;
  const definition = { ...run.definition, steps: [], pins: {} };
  await store.accept({ ...run, definition, idempotency: null, originId: firstId });
  const error = JSON.stringify({
    code: 'step.cancelled',
    message: `nothing was run: this Idempotency-Key had begun execution ${firstId} before`,
    retryable: false,
  });
  await database.withTenant({ tenantId, userId: ownerId, role: 'user' }, (tx) =>
    tx.query(
      `update executions
          set status = 'cancelled', lease_epoch = lease_epoch + 1, finished_at = now(), error = $3
        where tenant_id = $1 and id = $2 and status = any ($4)`,
      [tenantId, id, error, statusesBefore('cancelled')],
    ),
  );
}

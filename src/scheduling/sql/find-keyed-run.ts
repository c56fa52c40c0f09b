import type { Tx } from '../../database/database.js';

/** The execution that a user's idempotency key began, if it was used before. */
export async function findKeyedRun(
  tx: Tx,
  owner: { tenantId: string; ownerId: string; key: string },
): Promise<{ id: string; requestHash: string } | null> {
  const rows: { id: string; request_hash: string }[] = await tx.query(
    `select id, request_hash from executions
      where tenant_id = $1 and owner_id = $2 and idempotency_key = $3`,
    [owner.tenantId, owner.ownerId, owner.key],
  );
  const row = rows[0];
  return row ? { id: row.id, requestHash: row.request_hash } : null;
}

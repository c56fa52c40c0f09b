import { toStorableJson } from '../../common/json.js';
import type { Tx } from '../../database/database.js';
import type { NewRun } from '../run-store.js';

/** Null: the owner used this idempotency key before. */
export async function insertExecution(
  tx: Tx,
  run: NewRun,
): Promise<{ startedAt: Date | null } | null> {
  const rows: { started_at: Date | null }[] = await tx.query(
    `insert into executions (tenant_id, id, plan_id, plan_version, definition, owner_id, visibility,
                             status, trigger, input, idempotency_key, request_hash,
                             host_id, lease_epoch, started_at, origin_id)
     values ($1, $2, $3, $4, $5, $6, $7,
             case when $12::uuid is null then 'queued' else 'running' end, $8, $9, $10, $11,
             $12::uuid, case when $12::uuid is null then 0 else 1 end,
             case when $12::uuid is null then null else now() end, $13)
     on conflict (tenant_id, owner_id, idempotency_key) where idempotency_key is not null do nothing
     returning started_at`,
    [
      run.tenantId,
      run.id,
      run.planId,
      run.planVersion,
      toStorableJson(run.definition),
      run.ownerId,
      run.visibility,
      run.trigger,
      toStorableJson(run.input),
      run.idempotency?.key ?? null,
      run.idempotency?.requestHash ?? null,
      run.hostId,
      run.originId,
    ],
  );
  const row = rows[0];
  return row ? { startedAt: row.started_at } : null;
}

export async function findByIdempotencyKey(
  tx: Tx,
  run: Pick<NewRun, 'tenantId' | 'ownerId'> & { key: string },
): Promise<{ id: string; requestHash: string } | null> {
  const rows: { id: string; request_hash: string }[] = await tx.query(
    `select id, request_hash from executions
      where tenant_id = $1 and owner_id = $2 and idempotency_key = $3`,
    [run.tenantId, run.ownerId, run.key],
  );
  const row = rows[0];
  return row ? { id: row.id, requestHash: row.request_hash } : null;
}

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import type { Tx } from '../database/database.js';

/**
 * One change at a time to who may come in as an admin of this tenant: of two that take each other's
 * rights, the second sees what the first did. Held until the transaction ends.
 */
export async function holdAdmins(tx: Tx, ctx: Pick<Ctx, 'tenantId'>): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `admins of ${ctx.tenantId}`,
  ]);
}

/**
 * After a change: somebody can still manage the users of this tenant, which means an admin who isn't
 * disabled and has a key that works and carries `user.manage`.
 * @throws AppError state.conflict, so that the transaction with the change is undone.
 */
export async function assertAdminRemains(tx: Tx, ctx: Pick<Ctx, 'tenantId'>): Promise<void> {
  const left: unknown[] = await tx.query(
    `select 1 from users u
       join api_keys k on k.tenant_id = u.tenant_id and k.user_id = u.id
      where u.tenant_id = $1 and u.role = 'admin' and u.disabled_at is null
        and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        and (k.permissions is null or 'user.manage' = any (k.permissions))
      limit 1`,
    [ctx.tenantId],
  );
  if (left.length > 0) return;
  throw new AppError(
    'state.conflict',
    'nobody could manage this tenant after that; make another admin with an API key first',
  );
}

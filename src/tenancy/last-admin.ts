import type { Ctx, Permission } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import type { Tx } from '../database/database.js';
import type { ApiKey } from './api-key.entity.js';
import { permissionsOf } from './role-permissions.js';
import type { User } from './user.entity.js';

/**
 * One change at a time to who may come in as an admin of this tenant: of two that take each other's
 * rights, the second sees what the first did. Held until the transaction ends.
 */
export async function holdAdmins(tx: Tx, ctx: Pick<Ctx, 'tenantId'>): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `admins of ${ctx.tenantId}`,
  ]);
}

/** Whether a key can do all that its owner may as an admin: nobody can give what no key carries. */
export function isWholeAdminKey(
  key: Pick<ApiKey, 'permissions'>,
  user: Pick<User, 'role' | 'isOperator'>,
): boolean {
  const { permissions } = key;
  if (user.role !== 'admin') return false;
  return permissions === null || wholeKey(user).every((one) => permissions.includes(one));
}

/**
 * After a change to a user or key that counted: the tenant still has an admin who isn't disabled and
 * has a working key with all that admins may do. After one to an operator, it is an operator.
 * @throws AppError state.conflict, so that the transaction with the change is undone.
 */
export async function assertAdminRemains(
  tx: Tx,
  ctx: Pick<Ctx, 'tenantId'>,
  changed: Pick<User, 'isOperator'>,
): Promise<void> {
  const left: unknown[] = await tx.query(
    `select 1 from users u
       join api_keys k on k.tenant_id = u.tenant_id and k.user_id = u.id
      where u.tenant_id = $1 and u.role = 'admin' and u.disabled_at is null
        and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        and (u.is_operator or not $2)
        and (k.permissions is null or k.permissions @> $3)
      limit 1`,
    [ctx.tenantId, changed.isOperator, wholeKey(changed)],
  );
  if (left.length > 0) return;
  throw new AppError(
    'state.conflict',
    changed.isOperator
      ? 'nobody could run this installation after that; the operator needs another API key without limits first'
      : 'nobody could manage this tenant after that; make another admin with an API key without limits first',
  );
}

function wholeKey(user: Pick<User, 'isOperator'>): Permission[] {
  return [...permissionsOf('admin', user.isOperator)];
}

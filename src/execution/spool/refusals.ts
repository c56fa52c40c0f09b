import type { Role } from '../../common/ctx.js';
import type { Database } from '../../database/database.js';
import { permissionsOf } from '../../tenancy/role-permissions.js';
import type { SpoolableRun } from './spooled-run.js';

/** Why runs may begin no more that were accepted while nobody could look. For one batch: it asks once. */
export class Refusals {
  private readonly known = new Map<string, Promise<string | null>>();

  constructor(private readonly database: Pick<Database, 'withTenant'>) {}

  /** Null: it may begin. */
  async find(run: SpoolableRun): Promise<string | null> {
    const key = [run.tenantId, run.ownerId, run.planId ?? ''].join('/');
    const known = this.known.get(key) ?? this.read(run);
    this.known.set(key, known);
    return await known;
  }

  private async read({ tenantId, ownerId, planId }: SpoolableRun): Promise<string | null> {
    // As an admin, who sees each plan: whether the owner may see it was decided when it was accepted.
    const ctx = { tenantId, userId: ownerId, role: 'admin' as const };
    const [owner] = await this.database.withTenant(ctx, (tx) =>
      tx.query<OwnerRow[]>(
        `select u.role, u.is_operator, u.disabled_at is not null as is_disabled,
                $3::uuid is not null and not exists (
                  select from plans p where p.tenant_id = $1 and p.id = $3 and p.deleted_at is null) as lacks_plan
           from users u where u.tenant_id = $1 and u.id = $2`,
        [tenantId, ownerId, planId],
      ),
    );
    if (!owner) return 'its tenant or its user is gone';
    if (owner.is_disabled) return 'its user was disabled';
    if (owner.lacks_plan) return 'its plan was deleted';
    const held = permissionsOf(owner.role, owner.is_operator);
    return held.has('plan.execute') ? null : 'its user may execute plans no more';
  }
}

interface OwnerRow {
  role: Role;
  is_operator: boolean;
  is_disabled: boolean;
  lacks_plan: boolean;
}

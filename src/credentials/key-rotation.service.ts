import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { Database } from '../database/database.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { Resealing } from './resealing.js';
import { TenantKeys } from './vault/tenant-keys.js';

/** One version of a tenant's data key; never the key. */
export interface EncryptionKeyView {
  tenant_id: string;
  tenant_name: string;
  version: number;
  root_key_id: string;
  created_at: string;
  is_current: boolean;
  /** How many credentials are sealed with it. */
  credentials: number;
}

export interface RotatedKey {
  tenant_id: string;
  tenant_name: string;
  /** The new one. */
  version: number;
}

/** New data keys for tenants, as operators order them. */
@Injectable()
export class KeyRotationService {
  constructor(
    private readonly database: Database,
    private readonly keys: TenantKeys,
    private readonly resealing: Resealing,
    private readonly audit: AuditService,
  ) {}

  /** Every version of every tenant; none for who is no operator. */
  async listKeys(ctx: Ctx): Promise<EncryptionKeyView[]> {
    const rows = await this.database.withTenant(ctx, (tx) =>
      tx.query<(Omit<EncryptionKeyView, 'created_at'> & { created_at: Date })[]>(
        'select * from list_encryption_keys()',
      ),
    );
    return rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }));
  }

  /**
   * Adds a version to the key of one tenant or of all, and begins to seal their credentials anew.
   * A tenant that has stored nothing has no key to replace.
   * @param tenant id or name
   * @throws AppError request.not_found
   */
  async rotate(ctx: Ctx, tenant: string | undefined): Promise<RotatedKey[]> {
    const holders = await this.database.withTenant(ctx, (tx) =>
      tx.query<{ tenant_id: string; tenant_name: string; version: number | null }[]>(
        'select * from list_key_holders($1)',
        [tenant ?? null],
      ),
    );
    if (tenant !== undefined && holders.length === 0) {
      throw new AppError('request.not_found', `there is no tenant "${tenant}"`);
    }
    const rotated: RotatedKey[] = [];
    // A tenant may bear another's id as its name: the id counts.
    for (const { version, ...holder } of tenant === undefined ? holders : holders.slice(0, 1)) {
      if (version === null) continue;
      const next = { ...holder, version: version + 1 };
      await this.addVersion(ctx, next);
      rotated.push(next);
    }
    this.resealing.begin();
    return rotated;
  }

  /** Told in the operator's own tenant: the one whose key it is doesn't know the operator. */
  private async addVersion(ctx: Ctx, next: RotatedKey): Promise<void> {
    const { tenant_id: tenantId, tenant_name: tenantName, version } = next;
    const { rootKeyId, wrappedKey } = await this.keys.makeWrapped(tenantId, version);
    await this.database.withTenant(ctx, async (tx) => {
      const [row] = await tx.query<{ added: boolean }[]>(
        'select add_tenant_key($1, $2, $3, $4) as added',
        [tenantId, version, rootKeyId, wrappedKey],
      );
      // Who was a moment faster gave the tenant a new key already.
      if (row?.added !== true) return;
      await this.audit.record(tx, ctx, {
        action: 'encryption_key.rotated',
        subject: { type: 'tenant', id: tenantId },
        details: { tenant: tenantName, version, root_key_id: rootKeyId },
      });
    });
  }
}

import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type TxCtx } from '../database/database.js';
import { makeApiKey, type NewApiKey } from './api-key.js';
import { AuditService, type AuditCtx } from './audit/audit.service.js';

export interface NewTenant {
  id: string;
  name: string;
  user: { id: string; external_id: string; role: 'admin' };
  /** Shown this once. */
  api_key: string;
}

export interface TenantSummary {
  id: string;
  name: string;
  created_at: string;
}

/** The tenant of whoever runs the installation, made at the first start. */
export const DEFAULT_TENANT = 'default';

@Injectable()
export class TenantsService {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
  ) {}

  /**
   * Makes a tenant with its first admin and that admin's key. The audit log of the caller's tenant
   * tells of it.
   * @throws AppError state.conflict when the name is taken.
   */
  async createTenant(ctx: Ctx, input: { name: string; adminUser?: string }): Promise<NewTenant> {
    const made = makeTenant({ ...input, isOperator: false, key: makeApiKey() });
    const tenant = await this.insert(ctx, made);
    if (tenant) return tenant;
    throw new AppError('state.conflict', `a tenant named "${input.name}" exists`, {
      errors: [{ pointer: '/name', detail: 'choose another name' }],
    });
  }

  async listTenants(
    _ctx: Ctx,
    query: { limit: number; cursor?: string },
  ): Promise<Page<TenantSummary>> {
    const rows = await this.database.query<{ id: string; name: string; created_at: Date }>(
      'select * from list_tenants($1, $2)',
      [decodeCursor(query.cursor), query.limit + 1],
    );
    const page = toPage(rows, query.limit);
    return {
      ...page,
      items: page.items.map((row) => ({ ...row, created_at: row.created_at.toISOString() })),
    };
  }

  /** Whether an earlier start, or another host, made the first one. */
  async hasTenants(): Promise<boolean> {
    const rows = await this.database.query('select id from list_tenants(null, 1)');
    return rows.length > 0;
  }

  /** The first tenant and its operator, who gets the key given; null when they are there already. */
  async createDefaultTenant(key: NewApiKey): Promise<NewTenant | null> {
    const made = makeTenant({ name: DEFAULT_TENANT, isOperator: true, key });
    const firstAdmin = { tenantId: made.id, userId: made.user.id, role: made.user.role };
    return await this.insert(firstAdmin, made);
  }

  private async insert(ctx: AuditCtx & TxCtx, made: TenantToMake): Promise<NewTenant | null> {
    const { id, name, user, key, isOperator } = made;
    const record = {
      tenant_id: id,
      name,
      user_id: user.id,
      external_id: user.external_id,
      user_name: user.external_id,
      is_operator: isOperator,
      key_id: newId(),
      key_name: 'first key',
      key_prefix: key.prefix,
      key_hash: key.hash,
    };
    return await this.database.withTenant(ctx, async (tx) => {
      const [row]: { created: boolean }[] = await tx.query('select create_tenant($1) as created', [
        JSON.stringify(record),
      ]);
      if (row?.created !== true) return null;
      await this.audit.record(tx, ctx, {
        action: 'tenant.created',
        subject: { type: 'tenant', id },
        details: { name, admin_user: user.external_id },
      });
      return { id, name, user, api_key: key.key };
    });
  }
}

interface TenantToMake {
  id: string;
  name: string;
  user: NewTenant['user'];
  isOperator: boolean;
  key: NewApiKey;
}

function makeTenant(input: {
  name: string;
  adminUser?: string;
  isOperator: boolean;
  key: NewApiKey;
}): TenantToMake {
  const { adminUser = 'admin', ...rest } = input;
  return { id: newId(), user: { id: newId(), external_id: adminUser, role: 'admin' }, ...rest };
}

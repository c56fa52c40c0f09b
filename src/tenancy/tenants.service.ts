import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database } from '../database/database.js';
import { makeApiKey, type NewApiKey } from './api-key.js';

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
  constructor(private readonly database: Database) {}

  /**
   * Makes a tenant with its first admin and that admin's key.
   * @throws AppError state.conflict when the name is taken.
   */
  async createTenant(_ctx: Ctx, input: { name: string; adminUser?: string }): Promise<NewTenant> {
    const tenant = await this.insert({ ...input, isOperator: false, key: makeApiKey() });
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
    return await this.insert({ name: DEFAULT_TENANT, isOperator: true, key });
  }

  private async insert(input: {
    name: string;
    adminUser?: string;
    isOperator: boolean;
    key: NewApiKey;
  }): Promise<NewTenant | null> {
    const { key } = input;
    const tenantId = newId();
    const userId = newId();
    const externalId = input.adminUser ?? 'admin';
    const [row] = await this.database.query<{ created: boolean }>(
      'select create_tenant($1) as created',
      [
        JSON.stringify({
          tenant_id: tenantId,
          name: input.name,
          user_id: userId,
          external_id: externalId,
          user_name: externalId,
          is_operator: input.isOperator,
          key_id: newId(),
          key_name: 'first key',
          key_prefix: key.prefix,
          key_hash: key.hash,
        }),
      ],
    );
    if (row?.created !== true) return null;
    return {
      id: tenantId,
      name: input.name,
      user: { id: userId, external_id: externalId, role: 'admin' },
      api_key: key.key,
    };
  }
}

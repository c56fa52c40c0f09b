import { Injectable } from '@nestjs/common';

import type { Ctx, Role } from '../common/ctx.js';
import { Database } from '../database/database.js';
import { hashApiKey } from './api-key.js';
import { permissionsOf } from './role-permissions.js';

interface CallerRow {
  tenant_id: string;
  tenant_name: string;
  user_id: string;
  external_id: string;
  role: Role;
  is_operator: boolean;
}

@Injectable()
export class Authentication {
  constructor(private readonly database: Database) {}

  /** Whose key it is; null for one that is unknown, expired or revoked. Never cached: a revoked key ends with the next request. */
  async findCaller(key: string, requestId: string): Promise<Ctx | null> {
    const [row] = await this.database.query<CallerRow>('select * from authenticate($1)', [
      hashApiKey(key),
    ]);
    if (!row) return null;
    return {
      tenantId: row.tenant_id,
      tenantName: row.tenant_name,
      userId: row.user_id,
      externalUserId: row.external_id,
      role: row.role,
      permissions: permissionsOf(row.role, row.is_operator),
      actorId: null,
      proof: {
        kind: 'api_key',
        apiKeyId: row.user_id,
        sessionId: null,
        expiresAt: null,
        isRestricted: false,
      },
      requestId,
    };
  }
}

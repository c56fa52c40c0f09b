import { randomBytes, randomUUID } from 'node:crypto';

import pg from 'pg';

import type { Ctx, Role } from '../../src/common/ctx.js';
import { hashApiKey } from '../../src/tenancy/api-key.js';
import type { TestDatabase } from './test-database.js';

export interface Member {
  tenantId: string;
  userId: string;
  role: Role;
  key: string;
}

/** A user of a tenant with an API key, made behind the host's back. */
export async function addMember(
  database: TestDatabase,
  tenant: string,
  role: Role,
): Promise<Member> {
  const admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  try {
    const { rows } = await admin.query<{ id: string }>('select id from tenants where name = $1', [
      tenant,
    ]);
    const tenantId = rows[0]?.id ?? '';
    const userId = randomUUID();
    const key = `sw_${randomBytes(16).toString('hex')}`;
    await admin.query(
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $2::uuid, $2::text, 'x', $3)`,
      [tenantId, userId, role],
    );
    await admin.query(
      `insert into api_keys (tenant_id, id, user_id, name, prefix, key_hash)
       values ($1, gen_random_uuid(), $2, 'k', 'sw_', $3)`,
      [tenantId, userId, hashApiKey(key)],
    );
    return { tenantId, userId, role, key };
  } finally {
    await admin.end();
  }
}

/** The context that a request of a member has. */
export function ctxOf(member: Member): Ctx {
  return {
    ...member,
    tenantName: 'x',
    externalUserId: member.userId,
    permissions: new Set(),
    actorId: null,
    proof: {
      kind: 'api_key',
      apiKeyId: randomUUID(),
      sessionId: null,
      expiresAt: null,
      isRestricted: false,
    },
    requestId: randomUUID(),
  };
}

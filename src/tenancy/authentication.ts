import { Injectable } from '@nestjs/common';

import type { Ctx, Permission, Role } from '../common/ctx.js';
import { Database } from '../database/database.js';
import { hashApiKey } from './api-key.js';
import { permissionsOf } from './role-permissions.js';
import type { RequestProof } from './request-proof.js';
import { SessionTokens, type SessionClaims } from './sessions/session-tokens.js';

/** Why a proof that was once good counts no more. */
export type EndReason = 'revoked' | 'expired' | 'disabled';

export interface Identified {
  ctx: Ctx;
  /** Null: the proof is good. */
  endedBecause: EndReason | null;
}

@Injectable()
export class Authentication {
  constructor(
    private readonly database: Database,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * Whose proof it is; null when nobody knows it. Never cached: a revoked key, a signed-out session
   * and a disabled user end with the next request.
   */
  async identify(proof: RequestProof, requestId: string): Promise<Identified | null> {
    let claims: SessionClaims | null = null;
    if (proof.kind === 'session') {
      claims = await this.tokens.verify(proof.token);
      if (!claims) return null;
    }
    const [row] = await this.database.query<CallerRow>('select * from authenticate($1, $2)', [
      proof.kind === 'api_key' ? hashApiKey(proof.key) : null,
      claims?.sessionId ?? null,
    ]);
    if (!row || (claims && claims.userId !== row.user_id)) return null;
    return { ctx: toCtx(row, requestId), endedBecause: row.refusal };
  }
}

interface CallerRow {
  tenant_id: string;
  tenant_name: string;
  user_id: string;
  external_id: string;
  role: Role;
  is_operator: boolean;
  api_key_id: string;
  session_id: string | null;
  key_permissions: Permission[] | null;
  expires_at: Date | null;
  refusal: EndReason | null;
}

function toCtx(row: CallerRow, requestId: string): Ctx {
  const held = permissionsOf(row.role, row.is_operator);
  const listed = row.key_permissions;
  return {
    tenantId: row.tenant_id,
    tenantName: row.tenant_name,
    userId: row.user_id,
    externalUserId: row.external_id,
    role: row.role,
    permissions: listed === null ? held : new Set(listed.filter((one) => held.has(one))),
    actorId: null,
    proof: {
      kind: row.session_id === null ? 'api_key' : 'session',
      apiKeyId: row.api_key_id,
      sessionId: row.session_id,
      expiresAt: row.expires_at,
      isRestricted: listed !== null,
    },
    requestId,
  };
}

import { Inject, Injectable } from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import type { Ctx, Permission, Role } from '../common/ctx.js';
import { LastKnown } from '../common/last-known.js';
import { Database } from '../database/database.js';
import { hashApiKey } from './api-key.js';
import { permissionsOf } from './role-permissions.js';
import type { RequestProof } from './request-proof.js';
import { SessionTokens, type SessionClaims } from './sessions/session-tokens.js';
import { TENANCY_SETTINGS, type TenancySettings } from './tenancy-settings.js';

const MAX_KNOWN_CALLERS = 10_000;

/** Why a proof that was once good counts no more. */
export type EndReason = 'revoked' | 'expired' | 'disabled';

export interface Identified {
  ctx: Ctx;
  /** Null: the proof is good. */
  endedBecause: EndReason | null;
}

@Injectable()
export class Authentication {
  private readonly known: LastKnown<CallerRow>;

  constructor(
    private readonly database: Database,
    private readonly tokens: SessionTokens,
    @Inject(TENANCY_SETTINGS) settings: TenancySettings,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.known = new LastKnown({ isOn: settings.spool, maxEntries: MAX_KNOWN_CALLERS, clock });
  }

  /**
   * Whose proof it is; null when nobody knows it. Never cached: a revoked key, a signed-out session
   * and a disabled user end with the next request.
   * @param options.mayRecall while the database is away and the spool is on, what was read of this proof
   *   last counts, see LastKnown
   */
  async identify(
    proof: RequestProof,
    requestId: string,
    options: { mayRecall: boolean } = { mayRecall: false },
  ): Promise<Identified | null> {
    let claims: SessionClaims | null = null;
    if (proof.kind === 'session') {
      claims = await this.tokens.verify(proof.token);
      if (!claims) return null;
    }
    const keyHash = proof.kind === 'api_key' ? hashApiKey(proof.key) : null;
    const sessionId = claims?.sessionId ?? null;
    const { value: row, isRecalled } = await this.known.read(
      { key: keyHash ?? `session ${sessionId ?? ''}`, mayRecall: options.mayRecall },
      () => this.read(keyHash, sessionId),
    );
    if (!row || (claims && claims.userId !== row.user_id)) return null;
    return {
      ctx: toCtx(row, requestId),
      endedBecause: row.refusal ?? (isRecalled ? this.findExpiry(row) : null),
    };
  }

  private async read(keyHash: string | null, sessionId: string | null): Promise<CallerRow | null> {
    const sql = 'select * from authenticate($1, $2)';
    const [row] = await this.database.query<CallerRow>(sql, [keyHash, sessionId]);
    return row ?? null;
  }

  /** What the database would tell by now. */
  private findExpiry({ expires_at: expiresAt }: CallerRow): EndReason | null {
    return expiresAt !== null && expiresAt.getTime() <= this.clock.now() ? 'expired' : null;
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

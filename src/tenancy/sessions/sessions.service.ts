import { Inject, Injectable } from '@nestjs/common';
import { LessThan } from 'typeorm';

import { CLOCK, type Clock } from '../../common/clock.js';
import type { Ctx, Permission, Proof, Role } from '../../common/ctx.js';
import { AppError } from '../../common/errors.js';
import { newId } from '../../common/ids.js';
import { Database, type Tx } from '../../database/database.js';
import { AuditService } from '../audit/audit.service.js';
import { User } from '../user.entity.js';
import { Session } from './session.entity.js';
import { SESSION_SECONDS, SessionTokens } from './session-tokens.js';

/** Nobody needs as many; a program that begins one for each request fills no table. */
const MAX_SESSIONS_PER_USER = 1_000;

export interface NewSession {
  token: string;
  expires_at: string;
}

/** Who the caller is, as the host sees it. */
export interface Identity {
  user: { id: string; external_id: string; name: string; role: Role; is_operator: boolean };
  tenant: { id: string; name: string };
  permissions: Permission[];
  /** The admin who acts for the user; null when users act for themselves. */
  actor: { id: string } | null;
  authentication: {
    kind: Proof['kind'];
    api_key_id: string;
    session_id: string | null;
    expires_at: string | null;
  };
}

@Injectable()
export class SessionsService {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
    private readonly tokens: SessionTokens,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * A session with what the caller's API key may do, for an hour or as long as the key lasts, if
   * that is less. The user's expired sessions go on this occasion, and the oldest of too many.
   * @throws AppError request.invalid for who comes with a session: none renews itself.
   */
  async beginSession(ctx: Ctx): Promise<NewSession> {
    refuseActingFor(ctx);
    if (ctx.proof.kind !== 'api_key') {
      throw new AppError('request.invalid', 'a session does not renew itself; send an API key');
    }
    const nowMs = this.clock.now();
    const endMs = Math.min(
      nowMs + SESSION_SECONDS * 1000,
      ctx.proof.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
    );
    const expiresAt = new Date(Math.floor(endMs / 1000) * 1000); // a token knows whole seconds
    const { tenantId, userId } = ctx;
    const id = newId();
    const token = await this.tokens.sign({ sessionId: id, userId }, expiresAt);
    await this.database.withTenant(ctx, async (tx) => {
      await tx.delete(Session, { tenantId, userId, expiresAt: LessThan(new Date(nowMs)) });
      await deleteOldest(tx, ctx);
      await tx.insert(Session, {
        tenantId,
        id,
        userId,
        apiKeyId: ctx.proof.apiKeyId,
        expiresAt,
      });
      await this.audit.record(tx, ctx, {
        action: 'auth.signed_in',
        subject: { type: 'session', id },
        details: { api_key_id: ctx.proof.apiKeyId, expires_at: expiresAt.toISOString() },
      });
    });
    return { token, expires_at: expiresAt.toISOString() };
  }

  /** Ends the caller's session. @throws AppError request.invalid for who comes with a key. */
  async endSession(ctx: Ctx): Promise<void> {
    refuseActingFor(ctx);
    const { sessionId, apiKeyId } = ctx.proof;
    if (sessionId === null) {
      throw new AppError(
        'request.invalid',
        `an API key has no session to end; DELETE /api/api-keys/${apiKeyId} revokes it`,
      );
    }
    await this.database.withTenant(ctx, async (tx) => {
      await tx.update(
        Session,
        { tenantId: ctx.tenantId, id: sessionId },
        { revokedAt: new Date(this.clock.now()) },
      );
      await this.audit.record(tx, ctx, {
        action: 'auth.signed_out',
        subject: { type: 'session', id: sessionId },
      });
    });
  }

  async describeCaller(ctx: Ctx): Promise<Identity> {
    const { tenantId, userId, proof } = ctx;
    const user = await this.database.withTenant(ctx, (tx) =>
      tx.findOneByOrFail(User, { tenantId, id: userId }),
    );
    return {
      user: {
        id: user.id,
        external_id: user.externalId,
        name: user.name,
        role: user.role,
        is_operator: user.isOperator,
      },
      tenant: { id: tenantId, name: ctx.tenantName },
      permissions: [...ctx.permissions].sort(),
      actor: ctx.actorId === null ? null : { id: ctx.actorId },
      authentication: {
        kind: proof.kind,
        api_key_id: proof.apiKeyId,
        session_id: proof.sessionId,
        expires_at: proof.expiresAt?.toISOString() ?? null,
      },
    };
  }
}

/** Makes room for one more. What another request is deleting already is left to that one. */
async function deleteOldest(tx: Tx, { tenantId, userId }: Ctx): Promise<void> {
  await tx.query(
    `delete from sessions where tenant_id = $1 and id in (
       select id from sessions where tenant_id = $1 and id in (
         select id from sessions where tenant_id = $1 and user_id = $2
          order by created_at desc, id desc offset $3)
          for update skip locked)`,
    [tenantId, userId, MAX_SESSIONS_PER_USER - 1],
  );
}

/** A session carries what its key's owner may do: it can't be begun or ended in a member's name. */
function refuseActingFor(ctx: Ctx): void {
  if (ctx.actorId === null) return;
  throw new AppError('request.invalid', 'sessions are your own; leave user_id out', {
    errors: [{ pointer: '/user_id', detail: 'leave it out' }],
  });
}

import { Injectable } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { newId } from '../../common/ids.js';
import { toStorableJson } from '../../common/json.js';
import { Database, type Tx } from '../../database/database.js';
import type { AuditEvent } from './audit-event.js';

/** Who did it: a request's context, or the engine on behalf of the run-as user. */
export type AuditCtx = Pick<Ctx, 'tenantId' | 'userId'> &
  Partial<Pick<Ctx, 'actorId' | 'requestId'>>;

/** Writes the audit log. Nothing changes or deletes what is in it: the app role has no right to. */
@Injectable()
export class AuditService {
  constructor(private readonly database: Database) {}

  /** Together with the change that it tells of: both are stored, or neither. */
  async record(tx: Tx, ctx: AuditCtx, event: AuditEvent): Promise<void> {
    await tx.query(
      `insert into audit_log (tenant_id, id, actor_id, user_id, action, subject_type, subject_id,
                              outcome, details, request_id)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        ctx.tenantId,
        newId(),
        ctx.actorId ?? ctx.userId,
        ctx.userId,
        event.action,
        event.subject?.type ?? null,
        event.subject?.id ?? null,
        event.outcome ?? 'success',
        toStorableJson(event.details ?? {}),
        ctx.requestId ?? null,
      ],
    );
  }

  /** For what has no transaction of its own, such as a refusal. */
  async recordAlone(ctx: AuditCtx & Pick<Ctx, 'role'>, event: AuditEvent): Promise<void> {
    await this.database.withTenant(ctx, (tx) => this.record(tx, ctx, event));
  }
}

import { Injectable } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { decodeCursor, toPage, type Page } from '../../common/paging.js';
import { Database } from '../../database/database.js';
import { findUser } from '../find-user.js';
import { AuditEntry } from './audit-entry.entity.js';

export interface AuditFilter {
  action?: string | undefined;
  /** Id or external id. */
  userId?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

/** An event as the API shows it. */
export interface AuditEventView {
  id: string;
  action: string;
  /** Who acted: an admin who acts for a member, else the user. */
  actor_id: string;
  /** As whom. */
  user_id: string;
  subject: { type: string; id: string } | null;
  outcome: 'success' | 'refused';
  details: Record<string, unknown>;
  request_id: string | null;
  timestamp: string;
}

/** Reads the audit log; see AuditService for how it is written. */
@Injectable()
export class AuditLog {
  constructor(private readonly database: Database) {}

  /**
   * What happened in the caller's tenant, newest first. A user finds what he did and what was done
   * as him; an unknown one finds nothing.
   */
  async listEvents(
    ctx: Ctx,
    query: AuditFilter & { limit: number; cursor?: string },
  ): Promise<Page<AuditEventView>> {
    const { tenantId } = ctx;
    const rows = await this.database.withTenant(ctx, async (tx) => {
      const user = query.userId === undefined ? null : await findUser(tx, ctx, query.userId);
      if (query.userId !== undefined && !user) return [];
      return await tx
        .createQueryBuilder(AuditEntry, 'a')
        .where('a.tenantId = :tenantId', { tenantId })
        .andWhere('(:cursor::uuid is null or a.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere('(:action::text is null or a.action = :action::text)', {
          action: query.action ?? null,
        })
        .andWhere('(:user::uuid is null or :user::uuid in (a.userId, a.actorId))', {
          user: user?.id ?? null,
        })
        .andWhere('(:from::timestamptz is null or a.createdAt >= :from::timestamptz)', {
          from: query.from ?? null,
        })
        .andWhere('(:to::timestamptz is null or a.createdAt < :to::timestamptz)', {
          to: query.to ?? null,
        })
        .orderBy('a.id', 'DESC')
        .limit(query.limit + 1)
        .getMany();
    });
    return toPage(rows.map(toView), query.limit);
  }
}

function toView(entry: AuditEntry): AuditEventView {
  return {
    id: entry.id,
    action: entry.action,
    actor_id: entry.actorId,
    user_id: entry.userId,
    subject:
      entry.subjectType === null || entry.subjectId === null
        ? null
        : { type: entry.subjectType, id: entry.subjectId },
    outcome: entry.outcome,
    details: entry.details,
    request_id: entry.requestId,
    timestamp: entry.createdAt.toISOString(),
  };
}

import { Injectable } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { AppError } from '../../common/errors.js';
import { isUuid } from '../../common/ids.js';
import { Database, type Tx } from '../../database/database.js';
import { Plan } from '../../plans/plan.entity.js';
import { AuditService } from '../../tenancy/audit/audit.service.js';
import { ExecutionLimit } from './execution-limit.entity.js';
import { LIMIT_KINDS, WHOLE_TENANT, type LimitKind } from './limit-kinds.js';
import { RecentLimits } from './recent-limits.js';
import { TenantShare } from './tenant-share.entity.js';
import { toShareView, type ShareView } from './tenant-shares.service.js';

const MAX_LIMITS = 1_000;
const MAX_SUBJECT_LENGTH = 200;

export interface LimitView {
  kind: LimitKind;
  subject: string;
  max_running: number;
}

export interface LimitsView {
  limits: LimitView[];
  /** What the operator lets the tenant. */
  share: ShareView;
  next_cursor: null;
}

/** What a path names; it may name nothing. */
interface LimitPath {
  kind: string;
  subject: string;
}

/**
 * How many executions of a tenant may run at a time that use one plan, provider or credential, or at all,
 * on all hosts together.
 */
@Injectable()
export class LimitsService {
  constructor(
    private readonly database: Database,
    private readonly recent: RecentLimits,
    private readonly audit: AuditService,
  ) {}

  async listLimits(ctx: Ctx): Promise<LimitsView> {
    return await this.database.withTenant(ctx, async (tx) => {
      const { tenantId } = ctx;
      const limits = await tx.find(ExecutionLimit, {
        where: { tenantId },
        order: { kind: 'ASC', subject: 'ASC' },
      });
      const share = await tx.findOneBy(TenantShare, { tenantId });
      return {
        limits: limits.map(toView),
        share: toShareView(
          share && {
            weight: share.weight,
            max_running: share.maxRunning,
            log_retention_days: share.logRetentionDays,
          },
        ),
        next_cursor: null,
      };
    });
  }

  /**
   * Makes a limit or changes one. It holds for what begins from now on: within half a second for
   * executions that begin without a way through the queue, at once for all others.
   * @param input.subject the id of a plan, a provider's name, a credential as steps write it, or `all` of the
   *   kind tenant
   * @throws AppError request.not_found for kinds and plans that aren't there, state.conflict for too many
   */
  async setLimit(ctx: Ctx, input: LimitPath & { maxRunning: number }): Promise<LimitView> {
    const key = toKey(ctx, input);
    const view = { kind: key.kind, subject: key.subject, max_running: input.maxRunning };
    await this.database.withTenant(ctx, async (tx) => {
      if (key.kind === 'plan') await requirePlan(tx, ctx, key.subject);
      const before = await tx.findOneBy(ExecutionLimit, key);
      if (!before && (await tx.countBy(ExecutionLimit, { tenantId: ctx.tenantId })) >= MAX_LIMITS) {
        throw new AppError(
          'state.conflict',
          `there are ${String(MAX_LIMITS)} limits already; delete one that isn't needed`,
        );
      }
      await tx.upsert(
        ExecutionLimit,
        { ...key, maxRunning: input.maxRunning, updatedAt: () => 'now()' },
        ['tenantId', 'kind', 'subject'],
      );
      await this.audit.record(tx, ctx, {
        action: 'limit.changed',
        subject: { type: 'limit', id: `${key.kind}:${key.subject}` },
        details: { before: before?.maxRunning ?? null, after: input.maxRunning },
      });
    });
    await this.recent.noteChange(ctx.tenantId);
    return view;
  }

  /** @throws AppError request.not_found */
  async deleteLimit(ctx: Ctx, input: LimitPath): Promise<void> {
    const key = toKey(ctx, input);
    await this.database.withTenant(ctx, async (tx) => {
      const { affected } = await tx.delete(ExecutionLimit, key);
      if (affected !== 1) throw notFound(`there is no limit for ${input.kind} "${input.subject}"`);
      await this.audit.record(tx, ctx, {
        action: 'limit.deleted',
        subject: { type: 'limit', id: `${key.kind}:${key.subject}` },
      });
    });
    await this.recent.noteChange(ctx.tenantId);
  }
}

function toKey(
  ctx: Ctx,
  { kind, subject }: LimitPath,
): Pick<ExecutionLimit, 'tenantId' | 'kind' | 'subject'> {
  const known = LIMIT_KINDS.find((one) => one === kind);
  if (!known) throw notFound(`limits are for ${LIMIT_KINDS.join(', ')}, not for "${kind}"`);
  if (known === 'tenant' && subject !== WHOLE_TENANT) {
    throw notFound(`the limit for the whole tenant is tenant/${WHOLE_TENANT}`);
  }
  if (subject.length > MAX_SUBJECT_LENGTH) throw notFound('nothing has so long a name');
  // Ids are compared as the database writes them.
  const named = known === 'plan' ? subject.toLowerCase() : subject;
  return { tenantId: ctx.tenantId, kind: known, subject: named };
}

async function requirePlan(tx: Tx, { tenantId }: Ctx, id: string): Promise<void> {
  if (isUuid(id) && (await tx.existsBy(Plan, { tenantId, id }))) return;
  throw notFound(`there is no plan ${id}`);
}

function notFound(detail: string): AppError {
  return new AppError('request.not_found', detail);
}

function toView({ kind, subject, maxRunning }: ExecutionLimit): LimitView {
  return { kind, subject, max_running: maxRunning };
}

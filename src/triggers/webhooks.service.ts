import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid, newId } from '../common/ids.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { PublicUrl } from '../execution/waits/public-url.js';
import { Plan } from '../plans/plan.entity.js';
import { assertHolds } from '../tenancy/assert-holds.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { resolveWebhooks } from './sql/resolve-webhooks.js';
import { makeWebhookPath } from './webhook-path.js';
import { toWebhookView, type WebhookView } from './webhook-view.js';
import type { CreateWebhookDto } from './webhook.dto.js';
import { Webhook } from './webhook.entity.js';

/**
 * The webhooks of plans. Whoever sees a plan sees that it has them; the plan's owner and tenant admins make
 * and delete them and know their addresses, and who makes one is who it runs as.
 */
@Injectable()
export class WebhooksService {
  constructor(
    private readonly database: Database,
    private readonly publicUrl: PublicUrl,
    private readonly audit: AuditService,
  ) {}

  /**
   * @throws AppError request.not_found, auth.forbidden, also for who may not run plans; state.conflict when
   *   the path is taken, whoever has it
   */
  async createWebhook(ctx: Ctx, planId: string, body: CreateWebhookDto): Promise<WebhookView> {
    // Whoever calls runs the plan with the rights of who made the webhook.
    assertHolds(ctx, { permission: 'plan.execute' });
    const id = newId();
    return await this.database.withTenant(ctx, async (tx) => {
      const plan = await getPlan(tx, ctx, planId);
      assertMayChange(ctx, plan);
      if (plan.deletedAt) throw planNotFound(planId);
      const path = body.path ?? makeWebhookPath();
      const made = await tx.query<unknown[]>(
        `insert into webhooks (tenant_id, id, plan_id, owner_id, plan_version, path, respond)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (path) do nothing
         returning id`,
        [ctx.tenantId, id, planId, ctx.userId, plan.version, path, body.respond ?? 'ack'],
      );
      if (made.length === 0) throw pathTaken();
      await this.audit.record(tx, ctx, {
        action: 'webhook.created',
        subject: { type: 'webhook', id },
        details: { plan_id: planId },
      });
      const row = await tx.findOneByOrFail(Webhook, { tenantId: ctx.tenantId, id });
      return await this.describe(tx, row, { showsAddress: true });
    });
  }

  /** Those of a plan, newest first. @throws AppError request.not_found */
  async listWebhooks(
    ctx: Ctx,
    planId: string,
    query: { limit: number; cursor?: string },
  ): Promise<Page<WebhookView>> {
    const views = await this.database.withTenant(ctx, async (tx) => {
      const plan = await getPlan(tx, ctx, planId);
      const showsAddress = mayChange(ctx, plan) && ctx.permissions.has('plan.execute');
      const rows = await tx
        .createQueryBuilder(Webhook, 'w')
        .where('w.tenantId = :tenantId and w.planId = :planId', { tenantId: ctx.tenantId, planId })
        .andWhere('(:cursor::uuid is null or w.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .orderBy('w.id', 'DESC')
        .limit(query.limit + 1)
        .getMany();
      return await this.describeAll(tx, rows, { showsAddress });
    });
    return toPage(views, query.limit);
  }

  /** Ends it with the next call; its executions stay. @throws AppError request.not_found, auth.forbidden */
  async deleteWebhook(ctx: Ctx, planId: string, id: string): Promise<void> {
    await this.database.withTenant(ctx, async (tx) => {
      assertMayChange(ctx, await getPlan(tx, ctx, planId));
      const key = { tenantId: ctx.tenantId, planId, id };
      const { affected } = isUuid(id) ? await tx.delete(Webhook, key) : { affected: 0 };
      if (affected !== 1) {
        throw new AppError('request.not_found', `the plan has no webhook ${id}`);
      }
      await this.audit.record(tx, ctx, {
        action: 'webhook.deleted',
        subject: { type: 'webhook', id },
        details: { plan_id: planId },
      });
    });
  }

  private async describe(
    tx: Tx,
    row: Webhook,
    options: { showsAddress: boolean },
  ): Promise<WebhookView> {
    const [view] = await this.describeAll(tx, [row], options);
    if (!view) throw new Error(`webhook ${row.id} is stored but is not there`);
    return view;
  }

  private async describeAll(
    tx: Tx,
    rows: Webhook[],
    { showsAddress }: { showsAddress: boolean },
  ): Promise<WebhookView[]> {
    const facts = await resolveWebhooks(
      async (sql, params) => await tx.query(sql, params),
      rows.map(({ path }) => path),
    );
    return rows.flatMap((row) => {
      const found = facts.get(row.path);
      if (!found) return [];
      const url = `${this.publicUrl.base}/api/webhook/${row.path}`;
      return [toWebhookView(row, found, showsAddress ? { path: row.path, url } : null)];
    });
  }
}

/** Also a deleted one: its webhooks can still be seen and deleted. */
async function getPlan(tx: Tx, ctx: Ctx, planId: string): Promise<Plan> {
  const plan = isUuid(planId)
    ? await tx.findOneBy(Plan, { tenantId: ctx.tenantId, id: planId })
    : null;
  if (!plan) throw planNotFound(planId);
  return plan;
}

function mayChange(ctx: Ctx, plan: Plan): boolean {
  return ctx.permissions.has('plan.write') && (ctx.role === 'admin' || plan.ownerId === ctx.userId);
}

/** Members run a shared plan by hand, each as himself; a webhook lets others run it as somebody. */
function assertMayChange(ctx: Ctx, plan: Plan): void {
  if (mayChange(ctx, plan)) return;
  throw new AppError(
    'auth.forbidden',
    'only the owner of this plan and tenant admins may change its webhooks',
  );
}

function planNotFound(id: string): AppError {
  return new AppError('request.not_found', `there is no plan ${id}`);
}

function pathTaken(): AppError {
  return new AppError('state.conflict', 'the path is taken', {
    errors: [{ pointer: '/path', detail: 'choose another, or leave it out to be given one' }],
  });
}

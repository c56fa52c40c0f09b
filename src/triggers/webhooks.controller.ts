import { Body, Controller, Delete, Get, Header, Param, Post, Query } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { ListQuery } from '../common/http/list-query.dto.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import type { WebhookView } from './webhook-view.js';
import { CreateWebhookDto } from './webhook.dto.js';
import { WebhooksService } from './webhooks.service.js';

/**
 * The webhooks of a plan, under the three names that clients know plans by. Their addresses are keys: no
 * cache keeps them.
 */
@Controller([
  'api/plans/:id/webhooks',
  'api/execution-plans/:id/webhooks',
  'api/workflows/:id/webhooks',
])
export class WebhooksController {
  constructor(private readonly webhooks: WebhooksService) {}

  @Post()
  @Header('cache-control', 'no-store')
  @Requires('plan.write')
  async create(
    @Caller() ctx: Ctx,
    @Param('id') planId: string,
    @Body() body: CreateWebhookDto,
  ): Promise<WebhookView> {
    return await this.webhooks.createWebhook(ctx, planId, body);
  }

  @Get()
  @Header('cache-control', 'no-store')
  @Requires('plan.read')
  async list(
    @Caller() ctx: Ctx,
    @Param('id') planId: string,
    @Query() query: ListQuery,
  ): Promise<{ webhooks: WebhookView[]; next_cursor: string | null }> {
    const page = await this.webhooks.listWebhooks(ctx, planId, query);
    return { webhooks: page.items, next_cursor: page.nextCursor };
  }

  @Delete(':webhook')
  @Requires('plan.write')
  async delete(
    @Caller() ctx: Ctx,
    @Param('id') planId: string,
    @Param('webhook') id: string,
  ): Promise<{ success: true }> {
    await this.webhooks.deleteWebhook(ctx, planId, id);
    return { success: true };
  }
}

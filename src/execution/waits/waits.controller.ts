import { Body, Controller, Get, Header, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import type { Ctx } from '../../common/ctx.js';
import type { JsonValue } from '../../common/json.js';
import { Caller, Public, Requires } from '../../tenancy/access.decorators.js';
import type { ResolvedWaitView, WaitView } from './wait-view.js';
import { ListWaitsQuery } from './wait.dto.js';
import { WaitsService } from './waits.service.js';

@Controller('api/waits')
export class WaitsController {
  constructor(private readonly waits: WaitsService) {}

  /** Its links are keys: no cache keeps them. */
  @Get()
  @Header('cache-control', 'no-store')
  @Requires('plan.read')
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListWaitsQuery,
  ): Promise<{ waits: WaitView[]; next_cursor: string | null }> {
    const { execution_id: executionId, plan_id: planId, ...rest } = query;
    const page = await this.waits.listWaits(ctx, { ...rest, executionId, planId });
    return { waits: page.items, next_cursor: page.nextCursor };
  }

  /** What it takes as a body depends on what the step waits for. */
  @Post(':token')
  @HttpCode(200)
  @Public()
  async resolve(
    @Param('token') token: string,
    @Body() body: JsonValue | undefined,
    @Req() request: FastifyRequest,
  ): Promise<ResolvedWaitView> {
    return await this.waits.resolve({ token, body, requestId: request.id });
  }
}

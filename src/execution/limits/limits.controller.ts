import { Body, Controller, Delete, Get, Param, Put } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { Caller, Requires } from '../../tenancy/access.decorators.js';
import { SetLimitDto } from './limits.dto.js';
import { LimitsService, type LimitsView, type LimitView } from './limits.service.js';

@Controller('api/limits')
export class LimitsController {
  constructor(private readonly limits: LimitsService) {}

  @Get()
  @Requires('plan.read')
  async list(@Caller() ctx: Ctx): Promise<LimitsView> {
    return await this.limits.listLimits(ctx);
  }

  @Put(':kind/:subject')
  @Requires('plugin.manage')
  async set(
    @Caller() ctx: Ctx,
    @Param('kind') kind: string,
    @Param('subject') subject: string,
    @Body() body: SetLimitDto,
  ): Promise<LimitView> {
    return await this.limits.setLimit(ctx, { kind, subject, maxRunning: body.max_running });
  }

  @Delete(':kind/:subject')
  @Requires('plugin.manage')
  async delete(
    @Caller() ctx: Ctx,
    @Param('kind') kind: string,
    @Param('subject') subject: string,
  ): Promise<{ success: true }> {
    await this.limits.deleteLimit(ctx, { kind, subject });
    return { success: true };
  }
}

import { Body, Controller, Get, Param, Put } from '@nestjs/common';
import { IsBoolean } from 'class-validator';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import { ProvidersService, type PluginSummary } from './providers.service.js';

class SetPluginDto {
  @IsBoolean()
  enabled!: boolean;
}

/** The tenant admin's view. */
@Controller('api/plugins')
export class PluginsController {
  constructor(private readonly providers: ProvidersService) {}

  @Get()
  @Requires('plugin.read')
  async list(@Caller() ctx: Ctx): Promise<{ plugins: PluginSummary[]; next_cursor: null }> {
    return { plugins: await this.providers.listPlugins(ctx), next_cursor: null };
  }

  @Put(':id')
  @Requires('plugin.manage')
  async set(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() body: SetPluginDto,
  ): Promise<PluginSummary> {
    return await this.providers.setEnabled(ctx, id, body.enabled);
  }
}

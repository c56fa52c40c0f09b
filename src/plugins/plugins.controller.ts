import { Body, Controller, Get, Param, Put } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import { ChangePluginDto } from './plugin-change.dto.js';
import type { PluginView } from './plugin-view.js';
import { TenantPluginsService } from './tenant-plugins.service.js';

/** The tenant admin's view. */
@Controller('api/plugins')
export class PluginsController {
  constructor(private readonly plugins: TenantPluginsService) {}

  @Get()
  @Requires('plugin.read')
  async list(@Caller() ctx: Ctx): Promise<{ plugins: PluginView[]; next_cursor: null }> {
    return { plugins: await this.plugins.listPlugins(ctx), next_cursor: null };
  }

  @Put(':id')
  @Requires('plugin.manage')
  async change(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() body: ChangePluginDto,
  ): Promise<PluginView> {
    return await this.plugins.changePlugin(ctx, id, {
      enabled: body.enabled,
      allowedActions: body.allowed_actions,
      hostCap: body.host_cap,
      consent: body.consent,
    });
  }
}

import { Body, Controller, Get, Param, Put } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { Caller, Requires } from '../../tenancy/access.decorators.js';
import { SetShareDto } from './limits.dto.js';
import { TenantSharesService, type ShareView } from './tenant-shares.service.js';

@Controller('api/admin/tenants/:tenant/limits')
@Requires('tenant.manage')
export class TenantSharesController {
  constructor(private readonly shares: TenantSharesService) {}

  @Get()
  async get(@Caller() ctx: Ctx, @Param('tenant') tenant: string): Promise<ShareView> {
    return await this.shares.getShare(ctx, tenant);
  }

  @Put()
  async set(
    @Caller() ctx: Ctx,
    @Param('tenant') tenant: string,
    @Body() body: SetShareDto,
  ): Promise<ShareView> {
    return await this.shares.setShare(ctx, tenant, body);
  }
}

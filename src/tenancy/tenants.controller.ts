import { Body, Controller, Get, Post, Query } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from './access.decorators.js';
import { CreateTenantDto, ListTenantsQuery } from './tenants.dto.js';
import { TenantsService, type NewTenant, type TenantSummary } from './tenants.service.js';

@Controller('api/admin/tenants')
@Requires('tenant.manage')
export class TenantsController {
  constructor(private readonly tenants: TenantsService) {}

  @Post()
  async create(@Caller() ctx: Ctx, @Body() body: CreateTenantDto): Promise<NewTenant> {
    const { name, admin_user: adminUser } = body;
    return await this.tenants.createTenant(
      ctx,
      adminUser === undefined ? { name } : { name, adminUser },
    );
  }

  @Get()
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListTenantsQuery,
  ): Promise<{ tenants: TenantSummary[]; next_cursor: string | null }> {
    const page = await this.tenants.listTenants(ctx, query);
    return { tenants: page.items, next_cursor: page.nextCursor };
  }
}

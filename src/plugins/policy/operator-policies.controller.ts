import { Body, Controller, Get, Param, Put } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { Caller, Requires } from '../../tenancy/access.decorators.js';
import { SetPolicyDto } from './operator-policy.dto.js';
import { OperatorPoliciesService, type OperatorPolicyView } from './operator-policies.service.js';

@Controller('api/admin/tenants/:tenant/plugins')
@Requires('tenant.manage')
export class OperatorPoliciesController {
  constructor(private readonly policies: OperatorPoliciesService) {}

  @Get()
  async get(@Caller() ctx: Ctx, @Param('tenant') tenant: string): Promise<OperatorPolicyView> {
    return await this.policies.getPolicy(ctx, tenant);
  }

  @Put()
  async set(
    @Caller() ctx: Ctx,
    @Param('tenant') tenant: string,
    @Body() body: SetPolicyDto,
  ): Promise<OperatorPolicyView> {
    return await this.policies.setPolicy(ctx, tenant, body);
  }
}

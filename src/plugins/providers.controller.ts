import { Controller, Get, Param, Query } from '@nestjs/common';
import { IsIn, IsOptional } from 'class-validator';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import { ProvidersService, type ActionDetail, type ProviderDetail } from './providers.service.js';

class ListProvidersQuery {
  @IsOptional()
  @IsIn(['full'])
  detail?: 'full';
}

@Controller('api/providers')
@Requires('plugin.read')
export class ProvidersController {
  constructor(private readonly providers: ProvidersService) {}

  @Get()
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListProvidersQuery,
  ): Promise<{ providers: string[] | ProviderDetail[] }> {
    const providers = await this.providers.listProviders(ctx);
    return { providers: query.detail === 'full' ? providers : providers.map(({ name }) => name) };
  }

  @Get(':name')
  async get(@Caller() ctx: Ctx, @Param('name') name: string): Promise<ProviderDetail> {
    return await this.providers.getProvider(ctx, name);
  }

  @Get(':name/actions/:action')
  async getAction(
    @Caller() ctx: Ctx,
    @Param('name') name: string,
    @Param('action') action: string,
  ): Promise<ActionDetail> {
    return await this.providers.getAction(ctx, name, action);
  }
}

import { Body, Controller, Delete, Get, Header, Param, Post, Query } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires, UserIdIsParameter } from './access.decorators.js';
import { CreateApiKeyDto, ListApiKeysQuery } from './api-keys.dto.js';
import { ApiKeysService, type ApiKeyView, type NewApiKeyView } from './api-keys.service.js';

@Controller('api/api-keys')
@Requires('user.manage')
@UserIdIsParameter()
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  @Post()
  @Header('cache-control', 'no-store')
  async create(@Caller() ctx: Ctx, @Body() body: CreateApiKeyDto): Promise<NewApiKeyView> {
    return await this.keys.createApiKey(ctx, body);
  }

  @Get()
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListApiKeysQuery,
  ): Promise<{ api_keys: ApiKeyView[]; next_cursor: string | null }> {
    const page = await this.keys.listApiKeys(ctx, query);
    return { api_keys: page.items, next_cursor: page.nextCursor };
  }

  @Delete(':id')
  async revoke(@Caller() ctx: Ctx, @Param('id') id: string): Promise<{ success: true }> {
    await this.keys.revokeApiKey(ctx, id);
    return { success: true };
  }
}

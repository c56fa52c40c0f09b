import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import type { CredentialView } from './credential-view.js';
import { CredentialQuery, ListCredentialsQuery, StoreCredentialDto } from './credentials.dto.js';
import { CredentialsService } from './credentials.service.js';

@Controller('api/provider-credentials')
export class CredentialsController {
  constructor(private readonly credentials: CredentialsService) {}

  @Get()
  @Requires('credential.read')
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListCredentialsQuery,
  ): Promise<{ credentials: CredentialView[]; next_cursor: string | null }> {
    const page = await this.credentials.listCredentials(ctx, query);
    return { credentials: page.items, next_cursor: page.nextCursor };
  }

  @Get(':provider')
  @Requires('credential.read')
  async get(
    @Caller() ctx: Ctx,
    @Param('provider') provider: string,
    @Query() query: CredentialQuery,
  ): Promise<CredentialView> {
    return await this.credentials.getCredential(ctx, provider, query);
  }

  @Post(':provider')
  @HttpCode(200)
  @Requires('credential.write')
  async store(
    @Caller() ctx: Ctx,
    @Param('provider') provider: string,
    @Body() body: StoreCredentialDto,
  ): Promise<CredentialView> {
    return await this.credentials.storeCredential(ctx, provider, body);
  }

  /** The same as POST: storing one is always a full replacement. */
  @Put(':provider')
  @Requires('credential.write')
  async replace(
    @Caller() ctx: Ctx,
    @Param('provider') provider: string,
    @Body() body: StoreCredentialDto,
  ): Promise<CredentialView> {
    return await this.credentials.storeCredential(ctx, provider, body);
  }

  @Delete(':provider')
  @Requires('credential.write')
  async delete(
    @Caller() ctx: Ctx,
    @Param('provider') provider: string,
    @Query() query: CredentialQuery,
  ): Promise<{ success: true }> {
    await this.credentials.deleteCredential(ctx, provider, query);
    return { success: true };
  }
}

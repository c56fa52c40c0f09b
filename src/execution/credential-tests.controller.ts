import { Controller, HttpCode, Param, Post } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import { CredentialTestsService, type CredentialTestResult } from './credential-tests.service.js';

@Controller('api/provider-credentials')
export class CredentialTestsController {
  constructor(private readonly tests: CredentialTestsService) {}

  /** Asks the provider whether a credential works. */
  @Post(':id/test')
  @HttpCode(200)
  @Requires('credential.write')
  async test(@Caller() ctx: Ctx, @Param('id') id: string): Promise<CredentialTestResult> {
    return await this.tests.testCredential(ctx, id);
  }
}

import { Controller, Get, Header, Param } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { Caller, Requires } from '../../tenancy/access.decorators.js';
import { PayloadsService } from './payloads.service.js';

@Controller('api')
export class PayloadsController {
  constructor(private readonly payloads: PayloadsService) {}

  @Get('executions/:id/payloads/:payload')
  @Requires('plan.read')
  @Header('content-type', 'application/json; charset=utf-8')
  async get(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Param('payload') payload: string,
  ): Promise<string> {
    return await this.payloads.getText(ctx, id, payload);
  }
}

import { Controller, Get, Query } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { Caller, Requires, UserIdIsParameter } from '../access.decorators.js';
import { AuditLog, type AuditEventView } from './audit-log.js';
import { ListAuditQuery } from './audit.dto.js';

@Controller('api/audit-log')
@Requires('audit.read')
@UserIdIsParameter()
export class AuditController {
  constructor(private readonly log: AuditLog) {}

  @Get()
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListAuditQuery,
  ): Promise<{ events: AuditEventView[]; next_cursor: string | null }> {
    const { user_id: userId, ...rest } = query;
    const page = await this.log.listEvents(ctx, { ...rest, userId });
    return { events: page.items, next_cursor: page.nextCursor };
  }
}

import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import { ListExecutionsQuery, ListLogsQuery } from './execute.dto.js';
import { ExecutionLogsService } from './execution-logs.service.js';
import type { ExecutionDetail, ExecutionView, LogView } from './execution-view.js';
import { ExecutionsService } from './executions.service.js';

@Controller('api')
export class ExecutionsController {
  constructor(
    private readonly executions: ExecutionsService,
    private readonly logList: ExecutionLogsService,
  ) {}

  @Get('executions')
  @Requires('plan.read')
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListExecutionsQuery,
  ): Promise<{ executions: ExecutionView[]; next_cursor: string | null }> {
    const { plan_id: planId, ...rest } = query;
    const page = await this.executions.listExecutions(ctx, { ...rest, planId });
    return { executions: page.items, next_cursor: page.nextCursor };
  }

  @Get('executions/:id')
  @Requires('plan.read')
  async get(@Caller() ctx: Ctx, @Param('id') id: string): Promise<ExecutionDetail> {
    return await this.executions.getExecution(ctx, id);
  }

  @Post('executions/:id/cancel')
  @HttpCode(200)
  @Requires('plan.execute')
  async cancel(@Caller() ctx: Ctx, @Param('id') id: string): Promise<ExecutionDetail> {
    return await this.executions.cancelExecution(ctx, id);
  }

  @Get('execution-logs')
  @Requires('plan.read')
  async logs(
    @Caller() ctx: Ctx,
    @Query() query: ListLogsQuery,
  ): Promise<{ logs: LogView[]; next_cursor: string | null }> {
    const { plan_id: planId, execution_id: executionId, ...rest } = query;
    const page = await this.logList.listLogs(ctx, { ...rest, planId, executionId });
    return { logs: page.items, next_cursor: page.nextCursor };
  }
}

import { Controller, Get, Query } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { ListQuery } from '../common/http/list-query.dto.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import type { ScheduleView } from './schedule-view.js';
import { SchedulesService } from './schedules.service.js';

@Controller('api/scheduler')
export class SchedulerJobsController {
  constructor(private readonly schedules: SchedulesService) {}

  /** The schedules of all plans that the caller may see. */
  @Get('jobs')
  @Requires('plan.read')
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListQuery,
  ): Promise<{ jobs: ScheduleView[]; next_cursor: string | null }> {
    const page = await this.schedules.listSchedules(ctx, query);
    return { jobs: page.items, next_cursor: page.nextCursor };
  }
}

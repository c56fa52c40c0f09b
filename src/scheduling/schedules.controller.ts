import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Post,
  Query,
  Res,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';

import type { Ctx } from '../common/ctx.js';
import type { ExecutionView } from '../execution/execution-view.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import type { FireTimeView, ScheduleView } from './schedule-view.js';
import { PreviewQuery, PutScheduleDto } from './schedule.dto.js';
import { SchedulesService } from './schedules.service.js';

/** The schedule of a plan, under the three names that clients know plans by. */
@Controller([
  'api/plans/:id/schedule',
  'api/execution-plans/:id/schedule',
  'api/workflows/:id/schedule',
])
export class SchedulesController {
  constructor(private readonly schedules: SchedulesService) {}

  /** 201 for a first schedule, 200 for one that replaces another. */
  @Post()
  @Requires('schedule.write')
  async put(
    @Caller() ctx: Ctx,
    @Param('id') planId: string,
    @Body() body: PutScheduleDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ScheduleView> {
    const { schedule, isNew } = await this.schedules.putSchedule(ctx, planId, body);
    reply.status(isNew ? 201 : 200).header('location', `/api/plans/${planId}/schedule`);
    return schedule;
  }

  @Get()
  @Requires('plan.read')
  async get(@Caller() ctx: Ctx, @Param('id') planId: string): Promise<ScheduleView> {
    return await this.schedules.getSchedule(ctx, planId);
  }

  @Delete()
  @Requires('schedule.write')
  async delete(@Caller() ctx: Ctx, @Param('id') planId: string): Promise<{ success: true }> {
    await this.schedules.deleteSchedule(ctx, planId);
    return { success: true };
  }

  @Post('pause')
  @HttpCode(200)
  @Requires('schedule.write')
  async pause(@Caller() ctx: Ctx, @Param('id') planId: string): Promise<ScheduleView> {
    return await this.schedules.pauseSchedule(ctx, planId);
  }

  @Post('resume')
  @HttpCode(200)
  @Requires('schedule.write')
  async resume(@Caller() ctx: Ctx, @Param('id') planId: string): Promise<ScheduleView> {
    return await this.schedules.resumeSchedule(ctx, planId);
  }

  @Post('run')
  @HttpCode(202)
  @Requires('schedule.write')
  async run(
    @Caller() ctx: Ctx,
    @Param('id') planId: string,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ExecutionView> {
    const execution = await this.schedules.runSchedule(ctx, planId, key);
    reply.header('location', `/api/executions/${execution.id}`);
    return execution;
  }

  @Get('preview')
  @Requires('plan.read')
  async preview(
    @Caller() ctx: Ctx,
    @Param('id') planId: string,
    @Query() query: PreviewQuery,
  ): Promise<{ fire_times: FireTimeView[] }> {
    return { fire_times: await this.schedules.previewSchedule(ctx, planId, query.n) };
  }
}

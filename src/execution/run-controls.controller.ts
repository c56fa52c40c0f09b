import { Body, Controller, Headers, HttpCode, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';

import type { Ctx } from '../common/ctx.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import { answer } from './execute.controller.js';
import { ForkDto, WaitDto } from './execute.dto.js';
import type { ExecutionDetail } from './execution-view.js';
import { RunControlsService } from './run-controls.service.js';
import { RunRepeatsService } from './run-repeats.service.js';

@Controller('api/executions/:id')
@Requires('plan.execute')
export class RunControlsController {
  constructor(
    private readonly controls: RunControlsService,
    private readonly repeats: RunRepeatsService,
  ) {}

  @Post('pause')
  @HttpCode(200)
  async pause(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() { wait = 0 }: WaitDto,
  ): Promise<ExecutionDetail> {
    return await this.controls.pause(ctx, id, wait);
  }

  @Post('resume')
  @HttpCode(200)
  async resume(@Caller() ctx: Ctx, @Param('id') id: string): Promise<ExecutionDetail> {
    return await this.controls.resume(ctx, id);
  }

  @Post('retry')
  @HttpCode(200)
  async retry(@Caller() ctx: Ctx, @Param('id') id: string): Promise<ExecutionDetail> {
    return await this.controls.retry(ctx, id);
  }

  @Post('replay')
  async replay(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() { wait = 0 }: WaitDto,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ExecutionDetail> {
    return answer(reply, await this.repeats.replay(ctx, id, { waitSeconds: wait, key }));
  }

  @Post('fork')
  async fork(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() body: ForkDto,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ExecutionDetail> {
    const { from_step: fromStep, plan_version: planVersion, input, wait = 0 } = body;
    const request = { fromStep, planVersion, input, waitSeconds: wait, key };
    return answer(reply, await this.repeats.fork(ctx, id, request));
  }
}

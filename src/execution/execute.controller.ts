import { Body, Controller, Headers, HttpCode, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';

import type { Ctx } from '../common/ctx.js';
import type { ProviderResult } from '../common/provider-result.js';
import { Caller, Requires, StartsExecutions } from '../tenancy/access.decorators.js';
import { ExecuteService } from './execute.service.js';
import {
  ExecuteAnyPlanDto,
  ExecutePlanDto,
  ExecuteStepDto,
  MAX_WAIT_SECONDS,
} from './execute.dto.js';
import { isFinished } from './execution-status.js';
import type { ExecutionDetail } from './execution-view.js';

@Controller('api')
@Requires('plan.execute')
export class ExecuteController {
  constructor(private readonly execute: ExecuteService) {}

  @StartsExecutions()
  @Post(['plans/:id/execute', 'execution-plans/:id/execute', 'workflows/:id/execute'])
  async executePlan(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() body: ExecutePlanDto,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ExecutionDetail> {
    const { input = {}, wait = 0 } = body;
    const request = { planId: id, plan: null, input, waitSeconds: wait, key };
    return answer(reply, await this.execute.executePlan(ctx, request));
  }

  /** The two older paths wait unless they are told not to. */
  @StartsExecutions()
  @Post(['execute-plan', 'execute'])
  async executeAnyPlan(
    @Caller() ctx: Ctx,
    @Body() body: ExecuteAnyPlanDto,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ExecutionDetail> {
    const { plan_id: planId, plan = null, input = {}, wait = MAX_WAIT_SECONDS } = body;
    const request = { planId, plan, input, waitSeconds: wait, key };
    return answer(reply, await this.execute.executePlan(ctx, request));
  }

  @Post('execute-step')
  @HttpCode(200)
  async executeStep(
    @Caller() ctx: Ctx,
    @Body() body: ExecuteStepDto,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<ProviderResult> {
    const stepResults = body.step_results ?? {};
    return await this.execute.executeStep(ctx, { step: body.step, stepResults, key });
  }
}

/** 200 with the whole execution when it has finished, else 202 and where to ask. */
export function answer(reply: FastifyReply, execution: ExecutionDetail): ExecutionDetail {
  reply
    .status(isFinished(execution.status) ? 200 : 202)
    .header('location', `/api/executions/${execution.id}`);
  return execution;
}

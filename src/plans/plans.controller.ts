import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Post,
  Put,
  Query,
  Res,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { Caller, Requires } from '../tenancy/access.decorators.js';
import { PlanCompiler } from './plan-compiler.js';
import { CreatePlanDto, ListPlansQuery, UpdatePlanDto } from './plan.dto.js';
import { PlansService, type PlanVersionView, type PlanView } from './plans.service.js';
import type { PlanProblem } from './rules/validate-plan.js';

/** The same plans under the three names that clients know them by. */
@Controller(['api/plans', 'api/execution-plans', 'api/workflows'])
export class PlansController {
  constructor(
    private readonly plans: PlansService,
    private readonly compiler: PlanCompiler,
  ) {}

  @Post()
  @Requires('plan.write')
  async create(
    @Caller() ctx: Ctx,
    @Body() body: CreatePlanDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PlanView> {
    const plan = await this.plans.createPlan(ctx, body);
    reply.header('location', `/api/plans/${plan.id}`).header('etag', etag(plan));
    return plan;
  }

  /** Says what is wrong with a plan, all at once, and stores nothing. */
  @Post('validate')
  @HttpCode(200)
  @Requires('plan.read')
  async validate(
    @Caller() ctx: Ctx,
    @Body() body: unknown,
  ): Promise<{ valid: boolean; problems: PlanProblem[] }> {
    const problems = await this.compiler.findProblems(ctx, body);
    return { valid: problems.length === 0, problems };
  }

  @Get()
  @Requires('plan.read')
  async list(
    @Caller() ctx: Ctx,
    @Query() query: ListPlansQuery,
  ): Promise<{ plans: PlanView[]; next_cursor: string | null }> {
    const page = await this.plans.listPlans(ctx, query);
    return { plans: page.items, next_cursor: page.nextCursor };
  }

  @Get(':id')
  @Requires('plan.read')
  async get(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PlanView> {
    const plan = await this.plans.getPlan(ctx, id);
    reply.header('etag', etag(plan));
    return plan;
  }

  @Put(':id')
  @Requires('plan.write')
  async update(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
    @Body() input: UpdatePlanDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PlanView> {
    const plan = await this.plans.updatePlan(ctx, id, {
      input,
      expectedVersion: readIfMatch(ifMatch),
    });
    reply.header('etag', etag(plan));
    return plan;
  }

  @Delete(':id')
  @Requires('plan.delete')
  async delete(@Caller() ctx: Ctx, @Param('id') id: string): Promise<{ success: true }> {
    await this.plans.deletePlan(ctx, id);
    return { success: true };
  }

  @Get(':id/versions')
  @Requires('plan.read')
  async versions(
    @Caller() ctx: Ctx,
    @Param('id') id: string,
  ): Promise<{ versions: PlanVersionView[]; next_cursor: null }> {
    return { versions: await this.plans.listVersions(ctx, id), next_cursor: null };
  }
}

/** The version of a plan is its entity tag (RFC 9110, section 8.8.3). */
function etag(plan: PlanView): string {
  return `"${String(plan.version)}"`;
}

function readIfMatch(header: string | undefined): number | null {
  if (header === undefined || header.trim() === '*') return null;
  const match = /^"?(\d{1,9})"?$/.exec(header.trim());
  if (match) return Number(match[1]);
  throw new AppError(
    'precondition.failed',
    'If-Match must be the ETag that the plan was read with, such as "3"',
  );
}

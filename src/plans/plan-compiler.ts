import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import { SchemaValidator } from '../sandbox/schema/schema-validator.js';
import { CredentialBindings } from './credential-bindings.js';
import type { Pins } from './pins.js';
import { defaultStepId, type StepDefinition } from './rules/plan-definition.js';
import { validatePlan, type PlanProblem, type ValidatedPlan } from './rules/validate-plan.js';
import { TenantPlanCatalogue } from './tenant-plan-catalogue.js';

/** Steps that passed every check, each with its id, and what each of them runs. */
export interface CompiledPlan {
  steps: StepDefinition[];
  pins: Pins;
}

/** Turns the steps that people write into what can be stored and run. */
@Injectable()
export class PlanCompiler {
  constructor(
    private readonly catalogue: PluginCatalogue,
    private readonly validator: SchemaValidator,
    private readonly bindings: CredentialBindings,
  ) {}

  /** Every problem of `{ steps }`, each with a JSON Pointer; none when it can be saved. */
  async findProblems(ctx: Ctx, plan: unknown): Promise<PlanProblem[]> {
    return (await this.validate(ctx, plan)).problems;
  }

  /**
   * @param options.at where in the request the plan stands, for the pointers of problems
   * @param options.given ids of steps whose results are known without running them
   * @param options.ownerId who owns the plan; default: the caller
   * @throws AppError plan.invalid with every problem.
   */
  async compile(
    ctx: Ctx,
    plan: object,
    { at = '', given = [], ownerId }: { at?: string; given?: string[]; ownerId?: string } = {},
  ): Promise<CompiledPlan> {
    const { problems, actions } = await this.validate(ctx, plan, { given, ownerId });
    const first = problems[0];
    if (first) {
      const more = problems.length > 1 ? ` (and ${String(problems.length - 1)} more)` : '';
      throw new AppError('plan.invalid', `${at}${first.pointer}: ${first.detail}${more}`, {
        errors: problems.map(({ pointer, detail }) => ({ pointer: `${at}${pointer}`, detail })),
      });
    }
    // Every field was checked just now.
    const steps = (plan as { steps: StepDefinition[] }).steps.map((step, index) => ({
      ...step,
      id: step.id ?? defaultStepId(index),
    }));
    const pins = Object.fromEntries(
      [...actions].map(([stepId, { version, digest }]) => [stepId, { version, digest }]),
    );
    return { steps, pins };
  }

  private async validate(
    ctx: Ctx,
    plan: unknown,
    { given = [], ownerId = ctx.userId }: { given?: string[]; ownerId?: string | undefined } = {},
  ): Promise<ValidatedPlan> {
    const catalogue = new TenantPlanCatalogue(ctx, this.catalogue, this.validator, {
      of: this.bindings,
      planOwnerId: ownerId,
    });
    return await validatePlan(plan, catalogue, { given });
  }
}

import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isJsonObject } from '../common/json.js';
import { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import { SchemaValidator } from '../sandbox/schema/schema-validator.js';
import { CredentialBindings } from './credential-bindings.js';
import type { Pins } from './pins.js';
import { convertNodes } from './rules/convert-nodes.js';
import { defaultStepId, type StepDefinition } from './rules/plan-definition.js';
import { validatePlan, type PlanProblem, type ValidatedPlan } from './rules/validate-plan.js';
import { TenantPlanCatalogue } from './tenant-plan-catalogue.js';

/** Steps that passed every check, each with its id, and what each of them runs. */
export interface CompiledPlan {
  steps: StepDefinition[];
  pins: Pins;
}

interface CompileOptions {
  given?: string[];
  ownerId?: string;
  before?: StepDefinition[];
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
   * @param options.before steps that these replace, whose author may be another
   * @throws AppError plan.invalid with every problem.
   */
  async compile(
    ctx: Ctx,
    plan: object,
    options: CompileOptions & { at?: string } = {},
  ): Promise<CompiledPlan> {
    const { at = '' } = options;
    const { problems, actions, given } = await this.validate(ctx, plan, options);
    const first = problems[0];
    if (first) {
      const more = problems.length > 1 ? ` (and ${String(problems.length - 1)} more)` : '';
      throw new AppError('plan.invalid', `${at}${first.pointer}: ${first.detail}${more}`, {
        errors: problems.map(({ pointer, detail }) => ({ pointer: `${at}${pointer}`, detail })),
      });
    }
    // Every field was checked just now.
    const steps = (given as StepDefinition[]).map((step, index) => ({
      ...step,
      id: step.id ?? defaultStepId(index),
    }));
    const pins = Object.fromEntries(
      [...actions].map(([stepId, { version, digest }]) => [stepId, { version, digest }]),
    );
    return { steps, pins };
  }

  /** @returns `given`: the steps that were validated, drawn ones as steps */
  private async validate(
    ctx: Ctx,
    plan: unknown,
    { given = [], ownerId = ctx.userId, before }: CompileOptions = {},
  ): Promise<Pick<ValidatedPlan, 'problems' | 'actions'> & { given: unknown }> {
    const catalogue = new TenantPlanCatalogue(ctx, this.catalogue, this.validator, {
      of: this.bindings,
      planOwnerId: ownerId,
    });
    const drawn = isJsonObject(plan) ? convertNodes(plan) : null;
    if (!isJsonObject(plan)) return { ...(await validatePlan(plan, catalogue)), given: [] };
    let steps: unknown = drawn?.steps ?? plan['steps'];
    if (before && Array.isArray(steps)) {
      steps = await this.bindings.unbindOthers<unknown>(ctx, steps, before);
    }
    const whole = Object.entries({ ...plan, steps }).filter(
      ([name]) => !drawn || (name !== 'nodes' && name !== 'edges'),
    );
    const { problems, actions } = await validatePlan(Object.fromEntries(whole), catalogue, {
      given,
    });
    const placed = problems.map(({ pointer, detail }) => ({
      pointer: drawn?.pointerOf(pointer) ?? pointer,
      detail,
    }));
    return { problems: [...(drawn?.problems ?? []), ...placed], actions, given: steps };
  }
}

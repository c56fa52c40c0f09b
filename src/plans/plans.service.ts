import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid, newId } from '../common/ids.js';
import { toStorableJson } from '../common/json.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { CredentialBindings } from './credential-bindings.js';
import type { Pins } from './pins.js';
import { PlanCompiler, type CompiledPlan } from './plan-compiler.js';
import type { CreatePlanDto, ListPlansQuery, UpdatePlanDto } from './plan.dto.js';
import { Plan, type Visibility } from './plan.entity.js';
import { PlanVersion } from './plan-version.entity.js';
import type { StepDefinition } from './rules/plan-definition.js';

/** A plan as the API shows it. */
export interface PlanView {
  id: string;
  name: string;
  description: string | null;
  original_prompt: string | null;
  visibility: Visibility;
  owner_id: string;
  version: number;
  steps: StepDefinition[];
  created_at: string;
  updated_at: string;
}

export interface PlanVersionView {
  version: number;
  steps: StepDefinition[];
  pins: Pins;
  created_by: string;
  created_at: string;
}

/** What an execution needs of a plan. */
export interface RunnablePlan extends CompiledPlan {
  id: string;
  version: number;
  visibility: Visibility;
}

@Injectable()
export class PlansService {
  constructor(
    private readonly database: Database,
    private readonly compiler: PlanCompiler,
    private readonly bindings: CredentialBindings,
    private readonly audit: AuditService,
  ) {}

  /**
   * @throws AppError plan.invalid with every problem of its steps; auth.forbidden for who acts for a
   *   user and would share what is private to that one.
   */
  async createPlan(ctx: Ctx, input: CreatePlanDto): Promise<PlanView> {
    const compiled = await this.compiler.compile(ctx, input);
    const visibility = input.visibility ?? 'private';
    await this.bindings.assertMayShare(ctx, { steps: compiled.steps, visibility });
    const id = newId();
    return await this.database.withTenant(ctx, async (tx) => {
      await tx.insert(Plan, {
        tenantId: ctx.tenantId,
        id,
        ownerId: ctx.userId,
        name: input.name,
        description: input.description ?? null,
        originalPrompt: input.original_prompt ?? null,
        visibility,
        version: 1,
      });
      await insertVersion(tx, ctx, { planId: id, version: 1, ...compiled });
      await this.audit.record(tx, ctx, {
        action: 'plan.created',
        subject: { type: 'plan', id },
        details: { name: input.name },
      });
      return await this.read(tx, ctx, id);
    });
  }

  /** @throws AppError request.not_found, also for what the caller may not see. */
  async getPlan(ctx: Ctx, id: string): Promise<PlanView> {
    return await this.database.withTenant(ctx, (tx) => this.read(tx, ctx, id));
  }

  /** The plans that the caller may see, newest first. */
  async listPlans(ctx: Ctx, query: ListPlansQuery): Promise<Page<PlanView>> {
    const rows = await this.database.withTenant(ctx, (tx) =>
      selectPlans(tx)
        .where('p.tenantId = :tenantId and p.deletedAt is null', { tenantId: ctx.tenantId })
        .andWhere('(:cursor::uuid is null or p.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere(`(:name::text is null or position(lower(:name::text) in lower(p.name)) > 0)`, {
          name: query.name ?? null,
        })
        .andWhere(`(:step::jsonb is null or v.steps @> :step::jsonb)`, {
          step:
            query.provider === undefined ? null : JSON.stringify([{ provider: query.provider }]),
        })
        .andWhere(
          `(:scheduled::boolean is null or :scheduled::boolean = exists (
             select from schedules s where s.tenant_id = p.tenant_id and s.plan_id = p.id))`,
          { scheduled: query.scheduled ?? null },
        )
        .andWhere('(:owner::uuid is null or p.ownerId = :owner::uuid)', {
          owner: query.owner ?? null,
        })
        .andWhere('(:after::timestamptz is null or p.updatedAt > :after::timestamptz)', {
          after: query.updated_after ?? null,
        })
        .orderBy('p.id', 'DESC')
        .limit(query.limit + 1)
        .getMany(),
    );
    return toPage(rows.map(toView), query.limit);
  }

  /**
   * Makes a new version. Only the owner and tenant admins may.
   * @param expectedVersion of an If-Match header; null when there was none.
   * @throws AppError request.not_found, auth.forbidden, precondition.failed, plan.invalid
   */
  async updatePlan(
    ctx: Ctx,
    id: string,
    change: { input: UpdatePlanDto; expectedVersion: number | null },
  ): Promise<PlanView> {
    const { input } = change;
    const before = await this.getPlan(ctx, id);
    assertMayEdit(ctx, before);
    if (Object.keys(input).length === 0) {
      throw new AppError('request.invalid', 'the body changes nothing; give at least one field');
    }
    const hasSteps = input.steps !== undefined || input.nodes !== undefined;
    const compiled = hasSteps
      ? await this.compiler.compile(ctx, input, { ownerId: before.owner_id, before: before.steps })
      : null;
    const kept = hasSteps ? [] : await this.bindings.unbindOthers(ctx, before.steps, before.steps);
    await this.bindings.assertMayShare(ctx, {
      steps: compiled?.steps ?? kept,
      visibility: input.visibility ?? before.visibility,
    });
    const updated = await this.database.withTenant(ctx, async (tx) => {
      const plan = await tx.findOne(Plan, {
        where: { tenantId: ctx.tenantId, id },
        lock: { mode: 'for_no_key_update' },
      });
      if (!plan || plan.deletedAt) throw planNotFound(id);
      const expected = change.expectedVersion ?? plan.version;
      if (plan.version !== expected) {
        throw new AppError(
          'precondition.failed',
          `the plan is at version ${String(plan.version)}, not ${String(expected)}; read it again and repeat your change`,
        );
      }
      // Who leaves the steps out keeps those that stand now, with what they pinned: not older ones;
      // and what was judged for a private plan isn't stored in one that was shared meanwhile.
      const hasChanged = plan.version !== before.version;
      if (hasChanged && (!compiled || plan.visibility !== before.visibility)) return null;
      const version = plan.version + 1;
      const content = compiled ?? {
        ...(await readVersion(tx, ctx, { planId: id, version: plan.version })),
        steps: kept,
      };
      await insertVersion(tx, ctx, { planId: id, version, ...content });
      await this.audit.record(tx, ctx, {
        action: 'plan.updated',
        subject: { type: 'plan', id },
        details: { version, changed: Object.keys(input) },
      });
      await tx.update(
        Plan,
        { tenantId: ctx.tenantId, id },
        {
          version,
          name: input.name ?? plan.name,
          description: input.description === undefined ? plan.description : input.description,
          originalPrompt:
            input.original_prompt === undefined ? plan.originalPrompt : input.original_prompt,
          visibility: input.visibility ?? plan.visibility,
          updatedAt: new Date(),
        },
      );
      return await this.read(tx, ctx, id);
    });
    return updated ?? (await this.updatePlan(ctx, id, change));
  }

  /** Hides a plan; its executions stay readable. @throws AppError request.not_found, auth.forbidden */
  async deletePlan(ctx: Ctx, id: string): Promise<void> {
    const plan = await this.getPlan(ctx, id);
    assertMayEdit(ctx, plan);
    await this.database.withTenant(ctx, async (tx) => {
      await tx.update(Plan, { tenantId: ctx.tenantId, id }, { deletedAt: new Date() });
      await this.audit.record(tx, ctx, { action: 'plan.deleted', subject: { type: 'plan', id } });
    });
  }

  /** Every version, newest first. @throws AppError request.not_found */
  async listVersions(ctx: Ctx, id: string): Promise<PlanVersionView[]> {
    return await this.database.withTenant(ctx, async (tx) => {
      await this.read(tx, ctx, id);
      const rows = await tx.find(PlanVersion, {
        where: { tenantId: ctx.tenantId, planId: id },
        order: { version: 'DESC' },
      });
      return rows.map(({ version, steps, pins, createdBy, createdAt }) => ({
        version,
        steps,
        pins,
        created_by: createdBy,
        created_at: createdAt.toISOString(),
      }));
    });
  }

  /** The current version, to be run. @throws AppError request.not_found */
  async getRunnable(ctx: Ctx, id: string): Promise<RunnablePlan> {
    return await this.database.withTenant(ctx, async (tx) => {
      const { version, visibility } = await this.read(tx, ctx, id);
      return { id, version, visibility, ...(await readVersion(tx, ctx, { planId: id, version })) };
    });
  }

  private async read(tx: Tx, ctx: Ctx, id: string): Promise<PlanView> {
    const row = isUuid(id)
      ? await selectPlans(tx)
          .where('p.tenantId = :tenantId and p.id = :id and p.deletedAt is null', {
            tenantId: ctx.tenantId,
            id,
          })
          .getOne()
      : null;
    if (!row) throw planNotFound(id);
    return toView(row);
  }
}

/** A plan together with its current version. */
type PlanWithVersion = Plan & { current: PlanVersion };

function selectPlans(tx: Tx) {
  return tx
    .createQueryBuilder(Plan, 'p')
    .innerJoinAndMapOne(
      'p.current',
      PlanVersion,
      'v',
      'v.tenantId = p.tenantId and v.planId = p.id and v.version = p.version',
    );
}

async function readVersion(
  tx: Tx,
  ctx: Ctx,
  key: { planId: string; version: number },
): Promise<CompiledPlan> {
  const row = await tx.findOneByOrFail(PlanVersion, { tenantId: ctx.tenantId, ...key });
  return { steps: row.steps, pins: row.pins };
}

async function insertVersion(
  tx: Tx,
  ctx: Ctx,
  version: CompiledPlan & { planId: string; version: number },
): Promise<void> {
  await tx.query(
    `insert into plan_versions (tenant_id, plan_id, version, steps, pins, created_by)
     values ($1, $2, $3, $4, $5, $6)`,
    [
      ctx.tenantId,
      version.planId,
      version.version,
      toStorableJson(version.steps),
      JSON.stringify(version.pins),
      ctx.userId,
    ],
  );
}

function toView(plan: Plan): PlanView {
  const { current } = plan as PlanWithVersion;
  return {
    id: plan.id,
    name: plan.name,
    description: plan.description,
    original_prompt: plan.originalPrompt,
    visibility: plan.visibility,
    owner_id: plan.ownerId,
    version: plan.version,
    steps: current.steps,
    created_at: plan.createdAt.toISOString(),
    updated_at: plan.updatedAt.toISOString(),
  };
}

/** Members read and run a shared plan; its owner and tenant admins edit it. */
function assertMayEdit(ctx: Ctx, plan: PlanView): void {
  if (ctx.role === 'admin' || plan.owner_id === ctx.userId) return;
  throw new AppError(
    'auth.forbidden',
    'only the owner of this plan and tenant admins may change it',
  );
}

function planNotFound(id: string): AppError {
  return new AppError('request.not_found', `there is no plan ${id}`);
}

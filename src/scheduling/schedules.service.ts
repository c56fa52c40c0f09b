import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid, newId } from '../common/ids.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { readIdempotencyKey } from '../execution/execute.service.js';
import type { ExecutionView } from '../execution/execution-view.js';
import { Plan } from '../plans/plan.entity.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { jitterMs, nextFireTime, nextFireTimes, type Timing } from './fire-times.js';
import { ManualRuns } from './manual-runs.js';
import { readScheduleContent } from './schedule-content.js';
import {
  toFireTimeView,
  toScheduleView,
  type FireTimeView,
  type ScheduleView,
} from './schedule-view.js';
import type { PutScheduleDto } from './schedule.dto.js';
import { Schedule } from './schedule.entity.js';
import { lockPlanSchedule } from './sql/lock-schedule.js';
import { putSchedule } from './sql/put-schedule.js';
import { findSchedule, listSchedules, type ScheduleRow } from './sql/read-schedules.js';
import { dropWaiting } from './sql/schedule-fires.js';

/**
 * The schedules of plans, one for each at most. Whoever sees a plan sees its schedule; the plan's owner
 * and tenant admins change it, and who does so is who it runs as.
 */
@Injectable()
export class SchedulesService {
  constructor(
    private readonly database: Database,
    private readonly manualRuns: ManualRuns,
    private readonly audit: AuditService,
  ) {}

  /**
   * Gives a plan a schedule in place of the one that it had, and enables it.
   * @throws AppError request.not_found, auth.forbidden, request.invalid with every problem
   */
  async putSchedule(
    ctx: Ctx,
    planId: string,
    body: PutScheduleDto,
  ): Promise<{ schedule: ScheduleView; isNew: boolean }> {
    return await this.database.withTenant(ctx, async (tx) => {
      const plan = await getPlan(tx, ctx, planId);
      assertMaySchedule(ctx, plan);
      if (plan.deletedAt) throw planNotFound(planId);
      const now = await readNow(tx);
      const content = readScheduleContent(body, now);
      const before = await lockPlanSchedule(tx, { tenantId: ctx.tenantId, planId });
      const id = before?.id ?? newId();
      const next = getNext(id, content, now);
      await putSchedule(tx, {
        ...content,
        ...next,
        tenantId: ctx.tenantId,
        id,
        planId,
        ownerId: ctx.userId,
        planVersion: plan.version,
      });
      if (before) {
        const key = { tenantId: ctx.tenantId, scheduleId: id };
        await dropWaiting(tx, key, 'the schedule was replaced');
      }
      await this.record(tx, ctx, { id, planId, change: before ? 'replaced' : 'created' });
      return { schedule: toScheduleView(await getRow(tx, ctx, planId)), isNew: !before };
    });
  }

  /** @throws AppError request.not_found: no such plan for the caller, or it has no schedule */
  async getSchedule(ctx: Ctx, planId: string): Promise<ScheduleView> {
    const row = await this.database.withTenant(ctx, (tx) => getRow(tx, ctx, planId));
    return toScheduleView(row);
  }

  /** Those of the plans that the caller may see, newest first. */
  async listSchedules(
    ctx: Ctx,
    query: { limit: number; cursor?: string },
  ): Promise<Page<ScheduleView>> {
    const rows = await this.database.withTenant(ctx, (tx) =>
      listSchedules(tx, {
        tenantId: ctx.tenantId,
        after: decodeCursor(query.cursor),
        limit: query.limit + 1,
      }),
    );
    return toPage(rows.map(toScheduleView), query.limit);
  }

  /** The next `count` times, also of a schedule that rests, as it stands now. @throws AppError request.not_found */
  async previewSchedule(ctx: Ctx, planId: string, count: number): Promise<FireTimeView[]> {
    return await this.database.withTenant(ctx, async (tx) => {
      const { schedule } = await getRow(tx, ctx, planId);
      const now = await readNow(tx);
      // What its jitter still holds back is to come.
      const after = new Date(now.getTime() - jitterMs(schedule.id, schedule.jitterSeconds));
      return nextFireTimes(schedule, after, count).map((time) => toFireTimeView(schedule, time));
    });
  }

  /** Removes the schedule and what is known of its fires; its executions stay. @throws AppError request.not_found, auth.forbidden */
  async deleteSchedule(ctx: Ctx, planId: string): Promise<void> {
    await this.database.withTenant(ctx, async (tx) => {
      const { id } = await getForChange(tx, ctx, planId);
      await tx.delete(Schedule, { tenantId: ctx.tenantId, id });
      await this.audit.record(tx, ctx, {
        action: 'schedule.deleted',
        subject: { type: 'schedule', id },
        details: { plan_id: planId },
      });
    });
  }

  /** Times that come meanwhile don't count as missed. @throws AppError request.not_found, auth.forbidden, state.conflict */
  async pauseSchedule(ctx: Ctx, planId: string): Promise<ScheduleView> {
    return await this.database.withTenant(ctx, async (tx) => {
      const { id, status } = await getForChange(tx, ctx, planId);
      if (status === 'ended' || status === 'error') {
        throw new AppError('state.conflict', 'the schedule has stopped already');
      }
      if (status === 'active') {
        await tx.update(
          Schedule,
          { tenantId: ctx.tenantId, id },
          { status: 'paused', nextFireAt: null, dueAt: null, updatedAt: new Date() },
        );
        await this.record(tx, ctx, { id, planId, change: 'paused' });
      }
      return toScheduleView(await getRow(tx, ctx, planId));
    });
  }

  /**
   * Enables a schedule that was paused or has stopped: from then on it runs as the caller, who agrees
   * to the plan as it stands.
   * @throws AppError request.not_found, auth.forbidden, state.conflict when no time is left
   */
  async resumeSchedule(ctx: Ctx, planId: string): Promise<ScheduleView> {
    return await this.database.withTenant(ctx, async (tx) => {
      const plan = await getPlan(tx, ctx, planId);
      const schedule = await getForChange(tx, ctx, planId);
      if (plan.deletedAt) throw new AppError('state.conflict', 'the plan was deleted');
      const before = toScheduleView(await getRow(tx, ctx, planId));
      // One that will stop when it comes due counts as stopped.
      if (before.status === 'active') return before;
      const next = findNext(schedule.id, schedule, await readNow(tx));
      if (!next) {
        throw new AppError(
          'state.conflict',
          'the schedule names no time that is still to come; give the plan a new one',
        );
      }
      await tx.update(
        Schedule,
        { tenantId: ctx.tenantId, id: schedule.id },
        {
          ...next,
          ownerId: ctx.userId,
          planVersion: plan.version,
          status: 'active',
          error: null,
          updatedAt: new Date(),
        },
      );
      await this.record(tx, ctx, { id: schedule.id, planId, change: 'resumed' });
      return toScheduleView(await getRow(tx, ctx, planId));
    });
  }

  /**
   * Starts a run now as the schedule would: same run-as user, same input, same rule for overlap.
   * @param key of the Idempotency-Key header
   * @throws AppError request.not_found, auth.forbidden, state.conflict, idempotency.key_reused
   */
  async runSchedule(ctx: Ctx, planId: string, key: string | undefined): Promise<ExecutionView> {
    const idempotencyKey = readIdempotencyKey(key);
    const target = await this.database.withTenant(ctx, async (tx) => {
      assertMaySchedule(ctx, await getPlan(tx, ctx, planId));
      const { schedule, facts } = await getRow(tx, ctx, planId);
      await this.record(tx, ctx, { id: schedule.id, planId, change: 'run' });
      return {
        tenantId: ctx.tenantId,
        scheduleId: schedule.id,
        ownerId: schedule.ownerId,
        ownerRole: facts.owner_role,
      };
    });
    return await this.manualRuns.start(target, idempotencyKey);
  }

  private async record(
    tx: Tx,
    ctx: Ctx,
    event: { id: string; planId: string; change: string },
  ): Promise<void> {
    await this.audit.record(tx, ctx, {
      action: 'schedule.changed',
      subject: { type: 'schedule', id: event.id },
      details: { plan_id: event.planId, change: event.change },
    });
  }
}

/** Also a deleted one: its schedule says why it stopped. */
async function getPlan(tx: Tx, ctx: Ctx, planId: string): Promise<Plan> {
  const plan = isUuid(planId)
    ? await tx.findOneBy(Plan, { tenantId: ctx.tenantId, id: planId })
    : null;
  if (!plan) throw planNotFound(planId);
  return plan;
}

async function getRow(tx: Tx, ctx: Ctx, planId: string): Promise<ScheduleRow> {
  await getPlan(tx, ctx, planId);
  const row = await findSchedule(tx, { tenantId: ctx.tenantId, planId });
  if (!row) throw noSchedule();
  return row;
}

/** The schedule of a plan, locked, for who may change it. */
async function getForChange(tx: Tx, ctx: Ctx, planId: string): Promise<Schedule> {
  assertMaySchedule(ctx, await getPlan(tx, ctx, planId));
  const schedule = await lockPlanSchedule(tx, { tenantId: ctx.tenantId, planId });
  if (!schedule) throw noSchedule();
  return schedule;
}

/** The database's clock decides what is due; all hosts go by it. */
async function readNow(tx: Tx): Promise<Date> {
  const rows: { now: Date }[] = await tx.query(
    `select date_trunc('milliseconds', engine_now()) as now`,
  );
  return rows[0]?.now ?? new Date();
}

function findNext(
  scheduleId: string,
  schedule: Timing & Pick<Schedule, 'jitterSeconds'>,
  now: Date,
): { nextFireAt: Date; dueAt: Date } | null {
  const nextFireAt = nextFireTime(schedule, now);
  if (!nextFireAt) return null;
  const dueAt = new Date(nextFireAt.getTime() + jitterMs(scheduleId, schedule.jitterSeconds));
  return { nextFireAt, dueAt };
}

function getNext(...args: Parameters<typeof findNext>): { nextFireAt: Date; dueAt: Date } {
  const next = findNext(...args);
  if (!next) throw new Error('what was read of a schedule names a time that is to come');
  return next;
}

/** Members run a shared plan by hand; its one schedule is its owner's, and the admins'. */
function assertMaySchedule(ctx: Ctx, plan: Plan): void {
  if (ctx.role === 'admin' || plan.ownerId === ctx.userId) return;
  throw new AppError(
    'auth.forbidden',
    'only the owner of this plan and tenant admins may change its schedule',
  );
}

function planNotFound(id: string): AppError {
  return new AppError('request.not_found', `there is no plan ${id}`);
}

function noSchedule(): AppError {
  return new AppError('request.not_found', 'the plan has no schedule');
}

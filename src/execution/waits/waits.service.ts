import { Injectable } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { AppError } from '../../common/errors.js';
import { invalidRequest, validationPipe } from '../../common/http/validation.pipe.js';
import { isJsonObject, type JsonValue } from '../../common/json.js';
import { decodeCursor, toPage, type Page } from '../../common/paging.js';
import { Database, type Tx, type TxCtx } from '../../database/database.js';
import { defaultStepId } from '../../plans/rules/plan-definition.js';
import { PluginCatalogue } from '../../plugins/plugin-catalogue.js';
import { AuditService } from '../../tenancy/audit/audit.service.js';
import type { PageQuery } from '../executions.service.js';
import { RunDispatcher } from '../run-dispatcher.js';
import type { RunDefinition } from '../run-store.js';
import { ExecutionWait, type WaitKind } from './execution-wait.entity.js';
import { findAwaitedStep } from './find-awaited-step.js';
import { resolveWait, type Resolving } from './resolve-wait.js';
import { conflictOf } from './wait-conflict.js';
import { WaitTokens, type WaitPlace } from './wait-tokens.js';
import { isDecidable, toWaitView, type ResolvedWaitView, type WaitView } from './wait-view.js';
import { DecisionDto } from './wait.dto.js';

export interface WaitFilter {
  executionId?: string | undefined;
  planId?: string | undefined;
  kind?: WaitKind | undefined;
}

export interface SaidByToken {
  token: string;
  /** Undefined: the request had none, which counts as null. */
  body: JsonValue | undefined;
  requestId: string;
}

/** What steps wait for: lists it, and hears from outside that it has happened. */
@Injectable()
export class WaitsService {
  private readonly pipe = validationPipe();

  constructor(
    private readonly database: Database,
    private readonly tokens: WaitTokens,
    private readonly catalogue: PluginCatalogue,
    private readonly dispatcher: RunDispatcher,
    private readonly audit: AuditService,
  ) {}

  /** The open waits of the executions that the caller may see, newest first. */
  async listWaits(ctx: Ctx, query: PageQuery & WaitFilter): Promise<Page<WaitView>> {
    const rows = await this.database.withTenant(ctx, (tx) =>
      tx
        .createQueryBuilder(ExecutionWait, 'w')
        .where(`w.tenantId = :tenantId and w.status = 'open'`, { tenantId: ctx.tenantId })
        .andWhere('(:cursor::uuid is null or w.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere('(:execution::uuid is null or w.executionId = :execution::uuid)', {
          execution: query.executionId ?? null,
        })
        .andWhere('(:plan::uuid is null or w.planId = :plan::uuid)', { plan: query.planId ?? null })
        .andWhere('(:kind::text is null or w.kind = :kind::text)', { kind: query.kind ?? null })
        .orderBy('w.id', 'DESC')
        .limit(query.limit + 1)
        .getMany(),
    );
    const views = rows.map((row) =>
      toWaitView(row, mayDecide(ctx, row) ? this.tokens.urlOf(row) : null),
    );
    return toPage(views, query.limit);
  }

  /**
   * Takes what was posted to the link of a callback (any JSON) or an approval (a DecisionDto), and
   * has the execution go on. It may come before the step gets there, and again: that changes nothing.
   * @throws AppError request.not_found for every token that isn't one, request.invalid for what is
   *   no decision, state.conflict when it was answered otherwise, is too late, or has ended
   */
  async resolve({ token, body = null, requestId }: SaidByToken): Promise<ResolvedWaitView> {
    // Before anything is asked of the database: guessing costs a hash.
    const place = this.tokens.read(token);
    const found = place && (await this.findDecidable(place));
    if (!found) throw noSuchWait();
    const { ownerId, kind } = found;
    const payload = kind === 'approval' ? await this.readDecision(body) : body;
    const owner: TxCtx = { tenantId: place.tenantId, userId: ownerId, role: 'user' };
    const outcome = await this.database.withTenant(owner, async (tx) => {
      const said: Resolving = { ...place, kind, payload };
      const outcome = await resolveWait(tx, said);
      if (outcome === 'unknown') throw noSuchWait();
      if (outcome === 'taken' || outcome === 'finished') throw await conflictOf(tx, place, outcome);
      if (outcome === 'resolved') await this.tell(tx, { ...owner, requestId }, said);
      return outcome;
    });
    if (outcome === 'resolved') {
      // Whether this host walks it, or nobody does.
      this.dispatcher.wake(place.executionId);
      this.dispatcher.takeUp();
    }
    return { status: 'resolved', execution_id: place.executionId };
  }

  /** Whose step a genuine token names, and what may be said to it; null: nothing. */
  private async findDecidable(
    place: WaitPlace,
  ): Promise<{ ownerId: string; kind: 'callback' | 'approval' } | null> {
    // The token is the right to look at this one execution, whoever's it is, and as nobody.
    const bearer: TxCtx = { tenantId: place.tenantId, userId: '', role: 'admin' };
    const step = await this.database.withTenant(bearer, (tx) => findAwaitedStep(tx, place));
    if (!step) return null;
    const { ownerId, definition } = step;
    const kind = definition ? await this.kindOf(definition, place.stepId) : step.kind;
    return isDecidable(kind) ? { ownerId, kind } : null;
  }

  /** For what a step that isn't there yet will wait. */
  private async kindOf(definition: RunDefinition, stepId: string): Promise<WaitKind | null> {
    const step = definition.steps.find(({ id }, index) => (id ?? defaultStepId(index)) === stepId);
    const pin = definition.pins[stepId];
    const entry = pin && (await this.catalogue.findByDigest(pin.digest));
    const action = entry?.manifest.actions.find(({ id }) => id === step?.action);
    return action?.wait?.kind ?? null;
  }

  /** @throws AppError request.invalid, naming the field */
  private async readDecision(body: JsonValue): Promise<JsonValue> {
    if (!isJsonObject(body)) {
      const detail = 'must be an object such as { "approved": true, "comment": "fine" }';
      throw invalidRequest([{ pointer: '', detail }]);
    }
    const { approved, comment = null } = (await this.pipe.transform(body, {
      type: 'body',
      metatype: DecisionDto,
    })) as DecisionDto;
    return { approved, comment };
  }

  /** As its owner, as whom the execution goes on: whoever has the link needs no name. */
  private async tell(
    tx: Tx,
    owner: TxCtx & { requestId: string },
    { executionId, stepId, iteration, kind, payload }: Resolving,
  ): Promise<void> {
    await this.audit.record(tx, owner, {
      action: 'wait.resolved',
      subject: { type: 'execution', id: executionId },
      details: {
        execution_id: executionId,
        step_id: stepId,
        iteration,
        kind,
        by: 'token',
        ...(kind === 'approval' && isJsonObject(payload) && { approved: payload['approved'] }),
      },
    });
  }
}

/** Whoever decides has the execution go on: what it takes to start one. */
function mayDecide(ctx: Ctx, { kind, ownerId }: ExecutionWait): boolean {
  if (!isDecidable(kind) || !ctx.permissions.has('plan.execute')) return false;
  return ctx.role === 'admin' || ownerId === ctx.userId;
}

/** The same for every token that opens nothing, and without it. */
function noSuchWait(): AppError {
  return new AppError(
    'request.not_found',
    'nothing waits under this token; use the link exactly as it was given',
  );
}

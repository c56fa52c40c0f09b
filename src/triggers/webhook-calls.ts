import { Inject, Injectable } from '@nestjs/common';

import { CLOCK, type Clock } from '../common/clock.js';
import { AppError } from '../common/errors.js';
import type { JsonValue } from '../common/json.js';
import { LastKnown } from '../common/last-known.js';
import { Database } from '../database/database.js';
import { readIdempotencyKey } from '../execution/execute.service.js';
import { RunStarts, type RunResult, type StartCtx } from '../execution/run-starts.service.js';
import { readCall, type CallContent } from './called-webhook.js';
import { findObstacle } from './find-obstacle.js';
import { PlanDefinitions } from './plan-definitions.js';
import { resolveWebhooks, type WebhookFacts } from './sql/resolve-webhooks.js';
import { TriggersSettings } from './triggers-settings.js';
import { WebhookLookups } from './webhook-lookups.js';
import { isWebhookPath } from './webhook-path.js';

/** How long a call waits for the plan's output. */
const LAST_STEP_SECONDS = 30;
const MAX_KNOWN_WEBHOOKS = 10_000;

export interface WebhookCall extends CallContent {
  path: string;
  /** Of the header Idempotency-Key. */
  key: string | undefined;
}

export type WebhookAnswer =
  | { kind: 'accepted'; executionId: string; status: string }
  | { kind: 'output'; executionId: string; output: JsonValue };

/** Turns calls of webhooks into runs. Thousands come a second: what all of them do is kept small. */
@Injectable()
export class WebhookCalls {
  private readonly lookups: WebhookLookups;
  /** While the database is away and the spool is on, calls are taken by what was known last. */
  private readonly known: LastKnown<WebhookFacts>;

  constructor(
    private readonly definitions: PlanDefinitions,
    private readonly starts: RunStarts,
    database: Database,
    settings: TriggersSettings,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.known = new LastKnown({
      isOn: settings.spool,
      maxEntries: MAX_KNOWN_WEBHOOKS,
      clock,
    });
    this.lookups = new WebhookLookups((paths) =>
      resolveWebhooks((sql, params) => database.query(sql, params), paths),
    );
  }

  /**
   * Begins the plan of a webhook, on its current version and as who made the webhook. With `ack` returns when
   * the run is durable; with `last_step` when it has ended, at the latest after 30 s, or, while the database is
   * away and the spool is on, when it is durable there.
   * @throws AppError request.not_found, also when there is a webhook that may not run: strangers learn
   *   nothing. execution.failed, execution.cancelled with `execution_id` and `error: { code }`;
   *   request.invalid, idempotency.key_reused
   */
  async take(call: WebhookCall): Promise<WebhookAnswer> {
    const { value: webhook, isRecalled } = await this.find(call.path);
    if (!webhook || findObstacle(webhook)) throw noWebhook();
    const { plan, version } = webhook;
    const ctx = runAs(webhook);
    const definition = await this.definitions.find(ctx, {
      planId: plan.id,
      version: version.number,
    });
    if (!definition) throw noWebhook();
    const { input, trigger } = readCall(call);
    const start = {
      definition,
      plan: { id: plan.id, version: version.number },
      visibility: plan.visibility,
      trigger: 'webhook' as const,
      triggerData: trigger,
      input,
      idempotencyKey: keyOf(webhook, call.key),
    };
    if (webhook.respond === 'ack' || isRecalled) {
      const { executionId, status } = await this.starts.start(ctx, start);
      return { kind: 'accepted', executionId, status };
    }
    const { executionId, status, end } = await this.starts.runToEnd(ctx, start, LAST_STEP_SECONDS);
    return end ? toOutput(executionId, end) : { kind: 'accepted', executionId, status };
  }

  private async find(path: string): Promise<{ value: WebhookFacts | null; isRecalled: boolean }> {
    if (!isWebhookPath(path)) return { value: null, isRecalled: false };
    return await this.known.read({ key: path, mayRecall: true }, () => this.lookups.find(path));
  }
}

function toOutput(executionId: string, end: NonNullable<RunResult['end']>): WebhookAnswer {
  if (end.status === 'success') return { kind: 'output', executionId, output: end.output };
  // The message may tell what a provider answered, or where it is: the execution shows that to members.
  const error = end.error && { code: end.error.code };
  const extensions = { execution_id: executionId, error };
  throw end.status === 'cancelled'
    ? new AppError('execution.cancelled', `execution ${executionId} was cancelled`, { extensions })
    : new AppError('execution.failed', `execution ${executionId} has failed`, { extensions });
}

/** Whoever knows the path is let in by it: it stands where a key would. */
function runAs({ tenant, owner }: WebhookFacts): StartCtx {
  return { tenantId: tenant.id, tenantName: tenant.name, userId: owner.id, role: owner.role };
}

/** Strangers' keys are kept apart from the owner's, and from those of other webhooks. */
function keyOf(webhook: WebhookFacts, header: string | undefined): string | null {
  const key = readIdempotencyKey(header);
  return key === null ? null : `webhook ${webhook.id} ${key}`;
}

function noWebhook(): AppError {
  return new AppError('request.not_found', 'there is no webhook at this address');
}

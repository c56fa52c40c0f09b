import { findObstacle, type Obstacle } from './find-obstacle.js';
import type { WebhookFacts } from './sql/resolve-webhooks.js';
import type { Webhook, WebhookRespond } from './webhook.entity.js';

/** A webhook as the API shows it. Times are ISO 8601. */
export interface WebhookView {
  id: string;
  plan_id: string;
  /** Whoever knows it may call: null for who may not change the plan. */
  path: string | null;
  url: string | null;
  respond: WebhookRespond;
  /** Whose runs its calls begin. */
  run_as: string;
  /** `error`: calls are answered 404, and `error` says why. */
  status: 'active' | 'error';
  error: Obstacle | null;
  created_at: string;
}

/** @param address null for who may not know it */
export function toWebhookView(
  row: Webhook,
  facts: WebhookFacts,
  address: { path: string; url: string } | null,
): WebhookView {
  const error = findObstacle(facts);
  return {
    id: row.id,
    plan_id: row.planId,
    path: address?.path ?? null,
    url: address?.url ?? null,
    respond: row.respond,
    run_as: row.ownerId,
    status: error ? 'error' : 'active',
    error,
    created_at: row.createdAt.toISOString(),
  };
}

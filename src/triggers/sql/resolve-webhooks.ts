import type { Role } from '../../common/ctx.js';
import type { Visibility } from '../../plans/plan.entity.js';
import type { WebhookRespond } from '../webhook.entity.js';

/** What there is to know of a webhook when it is called. */
export interface WebhookFacts {
  id: string;
  path: string;
  respond: WebhookRespond;
  tenant: { id: string; name: string };
  /** The run-as user as he is now. */
  owner: { id: string; externalId: string; role: Role; isOperator: boolean; isDisabled: boolean };
  plan: { id: string; ownerId: string; visibility: Visibility; isDeleted: boolean };
  /** The plan's current version, and who wrote it. */
  version: { number: number; authorId: string; authorIsAdmin: boolean };
  /** The version of the plan that the owner made it for. */
  enabledVersion: number;
}

/** Runs a query without a tenant, or in a transaction of one. */
export type RunQuery = <Row>(sql: string, params: unknown[]) => Promise<Row[]>;

/** Those of the paths that are there, in one query however many they are. */
export async function resolveWebhooks(
  query: RunQuery,
  paths: readonly string[],
): Promise<Map<string, WebhookFacts>> {
  const rows = await query<FactsRow>('select * from resolve_webhooks($1)', [paths]);
  return new Map(rows.map((row) => [row.path, toFacts(row)]));
}

interface FactsRow {
  path: string;
  webhook_id: string;
  respond: WebhookRespond;
  enabled_version: number;
  tenant_id: string;
  tenant_name: string;
  owner_id: string;
  owner_external_id: string;
  owner_role: Role;
  owner_is_operator: boolean;
  owner_is_disabled: boolean;
  plan_id: string;
  plan_owner_id: string;
  visibility: Visibility;
  plan_is_deleted: boolean;
  version: number;
  author_id: string;
  author_is_admin: boolean;
}

function toFacts(row: FactsRow): WebhookFacts {
  return {
    id: row.webhook_id,
    path: row.path,
    respond: row.respond,
    tenant: { id: row.tenant_id, name: row.tenant_name },
    owner: {
      id: row.owner_id,
      externalId: row.owner_external_id,
      role: row.owner_role,
      isOperator: row.owner_is_operator,
      isDisabled: row.owner_is_disabled,
    },
    plan: {
      id: row.plan_id,
      ownerId: row.plan_owner_id,
      visibility: row.visibility,
      isDeleted: row.plan_is_deleted,
    },
    version: {
      number: row.version,
      authorId: row.author_id,
      authorIsAdmin: row.author_is_admin,
    },
    enabledVersion: row.enabled_version,
  };
}

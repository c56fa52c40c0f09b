import type { Role } from '../../common/ctx.js';
import type { Tx } from '../../database/database.js';
import type { RunDefinition } from '../../execution/run-store.js';
import type { Visibility } from '../../plans/plan.entity.js';
import type { RunFacts } from '../stop-reason.js';
import type { ScheduleKey } from './lock-schedule.js';

/** What of `FACTS_FROM` decides whether a schedule may run: `toRunFacts` reads it. */
export const FACTS_COLUMNS = `
  s.owner_id, s.plan_version as enabled_version, u.role as owner_role, u.is_operator, u.disabled_at,
  p.owner_id as plan_owner_id, p.name as plan_name, p.visibility, p.deleted_at, v.version, v.created_by,
  coalesce(a.role = 'admin' and a.disabled_at is null, false) as author_is_admin`;

/** A schedule with its run-as user, and of its plan and the author what the caller may see. */
export const FACTS_FROM = `
  schedules s
  join users u on u.tenant_id = s.tenant_id and u.id = s.owner_id
  left join plans p on p.tenant_id = s.tenant_id and p.id = s.plan_id
  left join plan_versions v on v.tenant_id = p.tenant_id and v.plan_id = p.id and v.version = p.version
  left join users a on a.tenant_id = v.tenant_id and a.id = v.created_by`;

export interface FactsRow {
  owner_id: string;
  enabled_version: number;
  owner_role: Role;
  is_operator: boolean;
  disabled_at: Date | null;
  plan_owner_id: string | null;
  plan_name: string | null;
  visibility: Visibility | null;
  deleted_at: Date | null;
  version: number | null;
  created_by: string | null;
  author_is_admin: boolean;
}

export function toRunFacts(row: FactsRow): RunFacts {
  const { plan_owner_id: planOwnerId, visibility, version, created_by: authorId } = row;
  return {
    enabled: { ownerId: row.owner_id, planVersion: row.enabled_version },
    owner: { role: row.owner_role, isOperator: row.is_operator, disabledAt: row.disabled_at },
    plan:
      planOwnerId === null || visibility === null
        ? null
        : { ownerId: planOwnerId, visibility, deletedAt: row.deleted_at },
    version:
      version === null || authorId === null
        ? null
        : { number: version, authorId, authorIsAdmin: row.author_is_admin },
  };
}

/** What a run of a schedule would be made of, and what time it is by the database's clock. */
export interface RunSources {
  now: Date;
  facts: RunFacts;
  tenantName: string;
  /** Null when the run-as user sees no plan. */
  plan: { version: number; visibility: Visibility; definition: RunDefinition } | null;
}

export async function readRunSources(tx: Tx, key: ScheduleKey): Promise<RunSources> {
  const rows: (FactsRow &
    Partial<RunDefinition> & { now: Date; tenant_name: string; pins: RunDefinition['pins'] })[] =
    await tx.query(
      `select ${FACTS_COLUMNS}, v.steps, v.pins, t.name as tenant_name,
              date_trunc('milliseconds', engine_now()) as now
         from ${FACTS_FROM} join tenants t on t.id = s.tenant_id
        where s.tenant_id = $1 and s.id = $2`,
      [key.tenantId, key.scheduleId],
    );
  const row = rows[0];
  if (!row) throw new Error(`schedule ${key.scheduleId} is locked but is not there`);
  const { version, visibility, steps, pins } = row;
  return {
    now: row.now,
    facts: toRunFacts(row),
    tenantName: row.tenant_name,
    plan:
      version !== null && visibility !== null && steps
        ? { version, visibility, definition: { steps, pins } }
        : null,
  };
}

import type { JsonObject, JsonValue } from '../../common/json.js';
import type { Database } from '../../database/database.js';
import type { Visibility } from '../../plans/plan.entity.js';
import type { LeasedRun, RunDefinition } from '../run-store.js';

/** A run that was claimed, as far as its row tells. */
export interface ClaimedRun {
  run: LeasedRun;
  /** Whether its journal may hold something: it was walked before, or begins with results. */
  hasBegun: boolean;
  /** Whether limits hold for its tenant. */
  isLimited: boolean;
}

/** A tenant's turn; see the function. */
export async function claimRuns(
  database: Pick<Database, 'query'>,
  { hostId, tenantId, places }: { hostId: string; tenantId: string; places: number },
): Promise<ClaimedRun[]> {
  const rows = await database.query<ClaimedRow>('select * from claim_runs($1, $2, $3)', [
    hostId,
    tenantId,
    places,
  ]);
  return rows.map((row) => ({
    hasBegun: row.has_begun,
    isLimited: row.is_limited,
    run: {
      lease: {
        tenantId: row.tenant_id,
        ownerId: row.owner_id,
        executionId: row.execution_id,
        hostId,
        epoch: row.lease_epoch,
      },
      tenantName: row.tenant_name,
      planId: row.plan_id,
      planVersion: row.plan_version,
      definition: row.definition,
      visibility: row.visibility,
      triggerData: row.trigger_data,
      input: row.input,
      startedAt: row.started_at,
      depth: row.depth,
      parentId: row.parent_id,
      journal: [],
      forgiven: {},
      takeovers: 0,
      unstored: null,
    },
  }));
}

interface ClaimedRow {
  tenant_id: string;
  execution_id: string;
  owner_id: string;
  lease_epoch: number;
  is_limited: boolean;
  has_begun: boolean;
  tenant_name: string;
  plan_id: string | null;
  plan_version: number | null;
  definition: RunDefinition;
  visibility: Visibility;
  trigger_data: JsonObject | null;
  input: JsonValue;
  started_at: Date;
  depth: number;
  parent_id: string | null;
}

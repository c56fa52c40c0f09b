import type { Tx } from '../../database/database.js';
import type { RunDefinition } from '../run-store.js';
import type { WaitKind } from './execution-wait.entity.js';
import type { WaitPlace } from './wait-tokens.js';

/** The step that a token names. */
export interface AwaitedStep {
  ownerId: string;
  /** Null: it never waited, so that only its action tells for what it will. */
  kind: WaitKind | null;
  /** Null where `kind` isn't. */
  definition: RunDefinition | null;
}

export async function findAwaitedStep(tx: Tx, place: WaitPlace): Promise<AwaitedStep | null> {
  const { tenantId, executionId, stepId, iteration } = place;
  const rows: AwaitedStep[] = await tx.query(
    `select e.owner_id as "ownerId", w.kind, case when w.kind is null then e.definition end as definition
       from executions e
       left join execution_waits w on w.tenant_id = e.tenant_id and w.execution_id = e.id
                                  and w.step_id = $3 and w.iteration = $4
      where e.tenant_id = $1 and e.id = $2`,
    [tenantId, executionId, stepId, iteration],
  );
  return rows[0] ?? null;
}

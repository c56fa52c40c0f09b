import { newId } from '../../common/ids.js';
import type { JsonValue } from '../../common/json.js';
import type { Tx } from '../../database/database.js';
import type { WaitKind } from './execution-wait.entity.js';
import type { WaitPlace } from './wait-tokens.js';

/**
 * `repeated`: the same was said before. `taken`: something else was, its time is over, or it was
 * cancelled. `finished`: its execution has ended.
 */
export type ResolveOutcome = 'resolved' | 'repeated' | 'taken' | 'finished' | 'unknown';

/** What somebody with the link says has happened. */
export interface Resolving extends WaitPlace {
  kind: WaitKind;
  payload: JsonValue;
}

/** Ends a wait, or keeps what is said for the step that hasn't come there yet. */
export async function resolveWait(tx: Tx, said: Resolving): Promise<ResolveOutcome> {
  const { tenantId, executionId, stepId, iteration, kind, payload } = said;
  const rows: { outcome: ResolveOutcome }[] = await tx.query(
    'select resolve_wait($1, $2, $3, $4, $5, $6, $7, null) as outcome',
    // As text: the driver would send null and lists as something else than JSON.
    [tenantId, executionId, stepId, iteration, kind, newId(), JSON.stringify(payload)],
  );
  return rows[0]?.outcome ?? 'unknown';
}

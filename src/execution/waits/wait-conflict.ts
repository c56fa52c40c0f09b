import { AppError } from '../../common/errors.js';
import type { Tx } from '../../database/database.js';
import type { ExecutionStatus } from '../execution-status.js';
import type { WaitStatus } from './execution-wait.entity.js';
import type { ResolveOutcome } from './resolve-wait.js';
import type { WaitPlace } from './wait-tokens.js';

/** Why what was said comes too late: what happened instead, and when; not who did it. */
export async function conflictOf(
  tx: Tx,
  place: WaitPlace,
  outcome: Extract<ResolveOutcome, 'taken' | 'finished'>,
): Promise<AppError> {
  const standing = await findStanding(tx, place);
  const detail =
    outcome === 'finished'
      ? `its execution has ended (status ${standing?.execution ?? 'unknown'}): nothing waits there any more`
      : describe(standing);
  return new AppError('state.conflict', detail);
}

interface Standing {
  execution: ExecutionStatus;
  wait: WaitStatus | null;
  endedAt: Date | null;
  wakeAt: Date | null;
}

async function findStanding(tx: Tx, place: WaitPlace): Promise<Standing | null> {
  const { tenantId, executionId, stepId, iteration } = place;
  const rows: Standing[] = await tx.query(
    `select e.status as execution, w.status as wait, w.ended_at as "endedAt", w.wake_at as "wakeAt"
       from executions e
       left join execution_waits w on w.tenant_id = e.tenant_id and w.execution_id = e.id
                                  and w.step_id = $3 and w.iteration = $4
      where e.tenant_id = $1 and e.id = $2`,
    [tenantId, executionId, stepId, iteration],
  );
  return rows[0] ?? null;
}

function describe(standing: Standing | null): string {
  const { wait, endedAt, wakeAt } = standing ?? { wait: null, endedAt: null, wakeAt: null };
  if (wait === 'resolved') {
    return `something else was said before${at(endedAt)}; the first answer counts`;
  }
  if (wait === 'cancelled') {
    return `it was cancelled${at(endedAt)}; send it again if its execution waits there anew`;
  }
  if (wait === null) return 'its step has ended, or was skipped: nothing waits there any more';
  return `its time was over${at(wakeAt)}`;
}

function at(time: Date | null): string {
  return time ? ` at ${time.toISOString()}` : '';
}

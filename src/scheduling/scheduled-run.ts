import type { Role } from '../common/ctx.js';
import { newId } from '../common/ids.js';
import type { Tx, TxCtx } from '../database/database.js';
import { cancelExecution } from '../execution/sql/cancel-execution.js';
import { acceptRun, flushRuns } from '../execution/sql/flush-runs.js';
import type { Schedule } from './schedule.entity.js';
import type { ScheduleKey } from './sql/lock-schedule.js';
import type { RunSources } from './sql/run-facts.js';

/** A schedule, and as whom it fires. */
export interface FiringSchedule extends ScheduleKey {
  ownerId: string;
  ownerRole: Role;
}

/** A locked schedule, and what its runs are made of. */
export interface Firing {
  schedule: Schedule;
  sources: RunSources;
}

/** Everything that a schedule does, it does with the rights of its run-as user. */
export function actAs({ tenantId, ownerId, ownerRole }: FiringSchedule): TxCtx {
  return { tenantId, userId: ownerId, role: ownerRole };
}

/**
 * Stores a run in the transaction of its fire, so that there is one of each or none. It is born queued:
 * whichever host has room first takes it.
 * @returns the id of the execution
 */
export async function insertRun(
  tx: Tx,
  { schedule, sources }: Firing,
  idempotency: { key: string; requestHash: string } | null,
): Promise<string> {
  const { plan, tenantName } = sources;
  if (!plan) throw new Error(`the plan of schedule ${schedule.id} was visible just now`);
  const run = acceptRun({
    id: newId(),
    tenantId: schedule.tenantId,
    tenantName,
    ownerId: schedule.ownerId,
    planId: schedule.planId,
    planVersion: plan.version,
    definition: plan.definition,
    visibility: plan.visibility,
    trigger: 'schedule',
    triggerData: null,
    input: schedule.input,
    idempotency,
    hostId: null,
    originId: null,
    parent: null,
    journal: [],
  });
  const inTransaction = {
    query: async <Row>(sql: string, params?: unknown[]) => await tx.query<Row[]>(sql, params),
  };
  const written = await flushRuns(inTransaction, [{ kind: run.kind, text: run.encode() }]);
  if (written[0]?.state === 'new') return run.executionId;
  throw new Error(
    `the run of schedule ${schedule.id} was not stored (${String(written[0]?.state)})`,
  );
}

/** @returns those that it could cancel: the run-as user may have no right to others */
export async function cancelRuns(
  tx: Tx,
  key: ScheduleKey,
  executionIds: string[],
): Promise<string[]> {
  const cancelled: string[] = [];
  for (const executionId of executionIds) {
    if (await cancelExecution(tx, { tenantId: key.tenantId, executionId })) {
      cancelled.push(executionId);
    }
  }
  return cancelled;
}

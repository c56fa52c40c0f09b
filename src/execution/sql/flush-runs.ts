import { toStorableJson } from '../../common/json.js';
import type { Database } from '../../database/database.js';
import { statusesBefore, type ExecutionEvent, type ExecutionStatus } from '../execution-status.js';
import type { JournalEntry, Lease, NewRun, RunOutcome } from '../run-store.js';
import { toJournalRows } from './journal-rows.js';

/** One thing that a run has to write. */
export interface RunWrite {
  kind: 'accept' | 'write';
  executionId: string;
  /** Rows of the journal that come with it. */
  entries: number;
  /** As `flush_runs` reads it. Made late, so that what waits is held once. */
  encode(): string;
}

/** What became of it. */
export interface Written {
  /** See `flush_runs`. */
  state: 'new' | 'repeated' | 'written' | 'lost' | 'busy';
  executionId: string;
  requestHash: string | null;
  /** Null also when somebody else has taken the run up, or it has ended. */
  startedAt: Date | null;
}

export function acceptRun(run: NewRun): RunWrite {
  return {
    kind: 'accept',
    executionId: run.id,
    entries: run.journal.length,
    encode: () =>
      toStorableJson({
        tenant_id: run.tenantId,
        id: run.id,
        plan_id: run.planId,
        plan_version: run.planVersion,
        definition: run.definition,
        owner_id: run.ownerId,
        visibility: run.visibility,
        trigger: run.trigger,
        input: run.input,
        idempotency_key: run.idempotency?.key ?? null,
        request_hash: run.idempotency?.requestHash ?? null,
        host_id: run.hostId,
        origin_id: run.originId,
        entries: toJournalRows(run.journal),
      }),
  };
}

/** @param end what the run comes to with it; null: it goes on */
export function writeRun(
  lease: Lease,
  entries: JournalEntry[],
  end: RunOutcome | 'paused' | null,
): RunWrite {
  return {
    kind: 'write',
    executionId: lease.executionId,
    entries: entries.length,
    encode: () =>
      toStorableJson({
        tenant_id: lease.tenantId,
        run: lease.executionId,
        host_id: lease.hostId,
        epoch: lease.epoch,
        ...toEnd(end),
        entries: toJournalRows(entries),
      }),
  };
}

/** Writes all in one transaction and one round trip; what became of each, in the same order. */
export async function flushRuns(
  database: Pick<Database, 'query'>,
  writes: { kind: RunWrite['kind']; text: string }[],
): Promise<Written[]> {
  const places = { accept: [] as number[], write: [] as number[] };
  const texts = { accept: [] as string[], write: [] as string[] };
  for (const [index, { kind, text }] of writes.entries()) {
    places[kind].push(index);
    texts[kind].push(text);
  }
  const rows = await database.query<FlushedRow>('select * from flush_runs($1, $2)', [
    `[${texts.accept.join()}]`,
    `[${texts.write.join()}]`,
  ]);
  const written: (Written | undefined)[] = writes.map(() => undefined);
  for (const row of rows) {
    written[places[row.kind][Number(row.place) - 1] ?? -1] = {
      state: row.state,
      executionId: row.run_id,
      requestHash: row.run_hash,
      startedAt: row.run_started_at,
    };
  }
  return written.map((one) => {
    if (!one) throw new Error('flush_runs did not answer for each write');
    return one;
  });
}

interface FlushedRow {
  kind: RunWrite['kind'];
  /** A bigint, counted from 1. */
  place: string;
  state: Written['state'];
  run_id: string;
  run_hash: string | null;
  run_started_at: Date | null;
}

function toEnd(end: RunOutcome | 'paused' | null): Record<string, unknown> {
  if (end === null) return {};
  if (end === 'paused') return { becomes: endOfLease('paused', 'paused') };
  return {
    becomes: endOfLease(end.status === 'success' ? 'succeeded' : 'failed', end.status),
    output: end.output,
    error: end.status === 'error' ? end.error : null,
  };
}

/** `flush_runs` lets a status change only while the lease holds, and so from `running`. */
function endOfLease(event: ExecutionEvent, to: ExecutionStatus): ExecutionStatus {
  if (!statusesBefore(event).includes('running')) throw new Error(`${event} doesn't end a lease`);
  return to;
}

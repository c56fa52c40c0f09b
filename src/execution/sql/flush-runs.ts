import type { Database } from '../../database/database.js';
import { BlobHandle, outcomeBlobId, type HeldList } from '../blobs/blob-handle.js';
import { BlobRows } from '../blobs/blob-rows.js';
import { statusesBefore, type ExecutionEvent, type ExecutionStatus } from '../execution-status.js';
import type { JournalEntry, Lease, NewRun, Progress, RunOutcome, RunOutput } from '../run-store.js';
import { toJournalRows, toWaitRows } from './journal-rows.js';

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

/** @param progress what it has come to before it was stored; null: it only begins */
export function acceptRun(run: NewRun, progress: WholeProgress | null = null): RunWrite {
  const entries = progress ? [...run.journal, ...progress.entries] : run.journal;
  return {
    kind: 'accept',
    executionId: run.id,
    entries: entries.length,
    encode: () => {
      const blobs = new BlobRows();
      return blobs.writeWith({
        tenant_id: run.tenantId,
        id: run.id,
        plan_id: run.planId,
        plan_version: run.planVersion,
        definition: run.definition,
        owner_id: run.ownerId,
        visibility: run.visibility,
        trigger: run.trigger,
        trigger_data: run.triggerData,
        input: run.input,
        idempotency_key: run.idempotency?.key ?? null,
        request_hash: run.idempotency?.requestHash ?? null,
        host_id: run.hostId,
        origin_id: run.originId,
        parent_id: run.parent?.executionId ?? null,
        depth: run.parent ? run.parent.depth + 1 : 0,
        ...(progress && { age_ms: progress.ageMs() }),
        ...(progress?.end &&
          toEnd({ executionId: run.id, epoch: FIRST_EPOCH }, progress.end, blobs)),
        entries: toJournalRows(run.id, entries, blobs),
      });
    },
  };
}

/** What a run comes to with a write; null: it goes on. */
export type RunEnd = WholeOutcome | { status: 'paused' } | RunRest | null;

/** One whose output is a value, or stands in one blob. */
export type WholeOutcome = RunOutcome & { output: Exclude<RunOutput, HeldList> };

export type WholeProgress = Progress & { end: WholeOutcome | null };

export interface RunRest {
  status: 'waiting';
  /** When a place goes on by itself; null: none does. */
  retryInMs: number | null;
}

export function writeRun(lease: Lease, entries: JournalEntry[], end: RunEnd): RunWrite {
  return {
    kind: 'write',
    executionId: lease.executionId,
    entries: entries.length,
    encode: () => {
      const blobs = new BlobRows();
      const row = {
        tenant_id: lease.tenantId,
        run: lease.executionId,
        host_id: lease.hostId,
        epoch: lease.epoch,
        ...toEnd(lease, end, blobs),
        entries: toJournalRows(lease.executionId, entries, blobs),
        waits: toWaitRows(entries),
      };
      return blobs.writeWith({ ...row, is_plain: end?.status !== 'waiting' && isPlain(row) });
    },
  };
}

/** Whether it is entries and perhaps an end, and nothing that has rows of its own; see `write_plain`. */
function isPlain(row: { entries: object[]; waits: unknown }): boolean {
  const hasMore = (part: object): boolean => MORE.some((name) => name in part);
  return row.waits === null && !hasMore(row) && !row.entries.some(hasMore);
}

const MORE = ['use_id', 'input_blob', 'output_blob'];

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

/** Of a run that is born running. */
const FIRST_EPOCH = 1;

type LeaseKey = Pick<Lease, 'executionId' | 'epoch'>;

interface FlushedRow {
  kind: RunWrite['kind'];
  /** A bigint, counted from 1. */
  place: string;
  state: Written['state'];
  run_id: string;
  run_hash: string | null;
  run_started_at: Date | null;
}

function toEnd(run: LeaseKey, end: RunEnd, blobs: BlobRows): Record<string, unknown> {
  switch (end?.status) {
    case undefined:
      return {};
    case 'paused':
      return { becomes: endOfLease('paused', 'paused') };
    case 'waiting':
      return { becomes: endOfLease('rested', 'waiting'), rest_ms: end.retryInMs };
    case 'success':
      return {
        becomes: endOfLease('succeeded', 'success'),
        ...toOutput(run, end.output, blobs),
      };
    case 'error':
      return {
        becomes: endOfLease('failed', 'error'),
        ...toOutput(run, end.output, blobs),
        error: end.error,
      };
  }
}

function toOutput(
  run: LeaseKey,
  output: WholeOutcome['output'],
  blobs: BlobRows,
): Record<string, unknown> {
  const handle = output instanceof BlobHandle ? output : undefined;
  const value = output instanceof BlobHandle ? null : output;
  return blobs.field('output', value, { handle, idOf: () => outcomeBlobId(run) });
}

/** `flush_runs` lets a status change only while the lease holds, and so from `running`. */
function endOfLease(event: ExecutionEvent, to: ExecutionStatus): ExecutionStatus {
  if (!statusesBefore(event).includes('running')) throw new Error(`${event} doesn't end a lease`);
  return to;
}

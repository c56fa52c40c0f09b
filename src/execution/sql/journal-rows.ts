import { newId } from '../../common/ids.js';
import type { JsonValue } from '../../common/json.js';
import { entryBlobId } from '../blobs/blob-handle.js';
import type { BlobRows } from '../blobs/blob-rows.js';
import { attemptKey, type JournalEntry } from '../run-store.js';

/**
 * Entries as `flush_runs` reads them: one for each attempt, which is the last of those that are given.
 * @param blobs takes what is too large for them
 */
export function toJournalRows(
  executionId: string,
  entries: JournalEntry[],
  blobs: BlobRows,
): Record<string, unknown>[] {
  const last = new Map(
    entries.map((entry) => [`${attemptKey(entry)}#${String(entry.attempt)}`, entry]),
  );
  return [...last.values()].map((entry) => toRow(entry, { executionId, blobs }));
}

/** The waits that entries open, as `flush_runs` reads them; null when there are none. */
export function toWaitRows(entries: JournalEntry[]): Record<string, unknown>[] | null {
  const rows = entries.flatMap((entry) => (entry.status === 'waiting' ? [toWaitRow(entry)] : []));
  return rows.length > 0 ? rows : null;
}

function toWaitRow({
  stepId,
  iteration,
  attempt,
  wait,
}: Extract<JournalEntry, { status: 'waiting' }>): Record<string, unknown> {
  const { kind } = wait;
  const row = { id: newId(), step_id: stepId, iteration, attempt, kind };
  switch (kind) {
    case 'timer':
      return { ...row, until: wait.until ?? null, wake_ms: toWholeMs(wait.seconds) };
    case 'callback':
      return { ...row, wake_ms: toWholeMs(wait.timeoutSeconds) };
    case 'approval':
      return { ...row, message: wait.message, wake_ms: toWholeMs(wait.timeoutSeconds) };
    case 'plan':
      return { ...row, child_id: wait.childId };
  }
}

function toWholeMs(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.ceil(seconds * 1000);
}

interface Write {
  executionId: string;
  blobs: BlobRows;
}

function toRow(entry: JournalEntry, write: Write): Record<string, unknown> {
  const row = {
    id: newId(),
    step_id: entry.stepId,
    iteration: entry.iteration,
    attempt: entry.attempt,
    provider: entry.provider,
    action: entry.action,
    version: entry.version,
    status: entry.status,
    started_at: entry.startedAt,
  };
  if (entry.status === 'skipped') return { ...row, finished_at: entry.startedAt };
  const input = inputOf(entry, write);
  if (entry.status === 'started') return { ...row, ...input };
  if (entry.status === 'waiting') return { ...row, ...input, metadata: { wait: entry.wait } };
  return {
    ...row,
    ...credentialUse(entry.result.metadata['credential_id']),
    ...input,
    ...outputOf(entry, write),
    message: entry.result.message,
    metadata: entry.result.metadata,
    error: entry.result.error,
    latency_ms: Math.round(entry.latencyMs),
    finished_at: entry.finishedAt,
  };
}

function inputOf(
  entry: Exclude<JournalEntry, { status: 'skipped' }>,
  { executionId, blobs }: Write,
): Record<string, JsonValue> {
  return blobs.field('input', entry.input, {
    handle: entry.blobs?.input,
    idOf: () => entryBlobId(executionId, entry, 'input'),
  });
}

function outputOf(
  entry: Extract<JournalEntry, { status: 'success' | 'error' }>,
  { executionId, blobs }: Write,
): Record<string, JsonValue> {
  return blobs.field('output', entry.result.output, {
    handle: entry.blobs?.output,
    idOf: () => entryBlobId(executionId, entry, 'output'),
  });
}

/** The row of the audit log that tells of the credential that an attempt opened, if it did. */
function credentialUse(credentialId: unknown): Record<string, unknown> {
  return typeof credentialId === 'string' ? { use_id: newId(), credential_id: credentialId } : {};
}

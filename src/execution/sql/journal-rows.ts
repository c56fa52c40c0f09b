import { newId } from '../../common/ids.js';
import { attemptKey, type JournalEntry } from '../run-store.js';

/** Entries as `flush_runs` reads them: one for each attempt, which is the last of those that are given. */
export function toJournalRows(entries: JournalEntry[]): Record<string, unknown>[] {
  const last = new Map(
    entries.map((entry) => [`${attemptKey(entry)}#${String(entry.attempt)}`, entry]),
  );
  return [...last.values()].map(toRow);
}

function toRow(entry: JournalEntry): Record<string, unknown> {
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
  if (entry.status === 'started') return { ...row, input: entry.input };
  return {
    ...row,
    ...credentialUse(entry.result.metadata['credential_id']),
    input: entry.input,
    output: entry.result.output,
    message: entry.result.message,
    metadata: entry.result.metadata,
    error: entry.result.error,
    latency_ms: Math.round(entry.latencyMs),
    finished_at: entry.finishedAt,
  };
}

/** The row of the audit log that tells of the credential that an attempt opened, if it did. */
function credentialUse(credentialId: unknown): Record<string, unknown> {
  return typeof credentialId === 'string' ? { use_id: newId(), credential_id: credentialId } : {};
}

import { newId } from '../../common/ids.js';
import { toStorableJson } from '../../common/json.js';
import type { Tx } from '../../database/database.js';
import type { JournalEntry, Lease, NewRun } from '../run-store.js';

/**
 * Appends entries to the journal of a run that the lease still holds, all in one statement.
 * False: the lease is lost, and nothing was written.
 */
export async function writeJournal(
  tx: Tx,
  lease: Lease,
  entries: JournalEntry[],
): Promise<boolean> {
  const rows: unknown[] = await tx.query(
    `with run as (
       select tenant_id, id, plan_id, owner_id, visibility from executions
        where tenant_id = $1 and id = $2 and host_id = $3 and lease_epoch = $4 and status = 'running'
        for update
     ), written as (
       insert into execution_logs (tenant_id, id, execution_id, plan_id, owner_id, visibility,
                                   step_id, iteration, attempt, provider, action, version, status, input,
                                   output, message, metadata, error, latency_ms, started_at, finished_at)
       select run.tenant_id, e.id, run.id, run.plan_id, run.owner_id, run.visibility,
              e.step_id, e.iteration, e.attempt, e.provider, e.action, e.version, e.status, e.input,
              e.output, e.message, e.metadata, e.error, e.latency_ms, e.started_at, e.finished_at
         from run, jsonb_to_recordset($5::jsonb) as e(
              id uuid, step_id text, iteration int, attempt int, provider text, action text, version text,
              status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
              latency_ms int, started_at timestamptz, finished_at timestamptz)
       on conflict (tenant_id, execution_id, step_id, iteration, attempt) do update
          set status = excluded.status, output = excluded.output, message = excluded.message,
              metadata = excluded.metadata, error = excluded.error,
              latency_ms = excluded.latency_ms, finished_at = excluded.finished_at
        where execution_logs.status = 'started'
       returning step_id, iteration, attempt
     ), used as (
       -- Each attempt that opened a credential, told in the same write as what came of it, and once
       -- when the write is repeated.
       insert into audit_log (tenant_id, id, actor_id, user_id, action, subject_type, subject_id,
                              outcome, details)
       select run.tenant_id, u.id, run.owner_id, run.owner_id, 'credential.used', 'credential',
              u.credential_id, 'success',
              jsonb_build_object('execution_id', run.id, 'plan_id', run.plan_id, 'step_id', u.step_id,
                                 'attempt', u.attempt, 'provider', u.provider, 'action', u.action)
         from run, jsonb_to_recordset($6::jsonb) as u(
              id uuid, credential_id text, step_id text, iteration int, attempt int, provider text,
              action text)
         join written using (step_id, iteration, attempt)
     )
     select 1 from run`,
    [
      lease.tenantId,
      lease.executionId,
      lease.hostId,
      lease.epoch,
      toStorableJson(entries.map(toRow)),
      JSON.stringify(entries.flatMap(toUse)),
    ],
  );
  return rows.length === 1;
}

/** What a run begins with, in the transaction that stores it. */
export async function seedJournal(tx: Tx, run: NewRun): Promise<void> {
  await tx.query(
    `insert into execution_logs (tenant_id, id, execution_id, plan_id, owner_id, visibility,
                                 step_id, iteration, attempt, provider, action, version, status, input,
                                 output, message, metadata, error, latency_ms, started_at, finished_at)
     select $1, e.id, $2, $3, $4, $5,
            e.step_id, e.iteration, e.attempt, e.provider, e.action, e.version, e.status, e.input,
            e.output, e.message, e.metadata, e.error, e.latency_ms, e.started_at, e.finished_at
       from jsonb_to_recordset($6::jsonb) as e(
            id uuid, step_id text, iteration int, attempt int, provider text, action text, version text,
            status text, input jsonb, output jsonb, message text, metadata jsonb, error jsonb,
            latency_ms int, started_at timestamptz, finished_at timestamptz)`,
    [
      run.tenantId,
      run.id,
      run.planId,
      run.ownerId,
      run.visibility,
      toStorableJson(run.journal.map(toRow)),
    ],
  );
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
    input: entry.input,
    output: entry.result.output,
    message: entry.result.message,
    metadata: entry.result.metadata,
    error: entry.result.error,
    latency_ms: Math.round(entry.latencyMs),
    finished_at: entry.finishedAt,
  };
}

/** The credential that an attempt opened, if it did. */
function toUse(entry: JournalEntry): Record<string, unknown>[] {
  if (entry.status === 'started' || entry.status === 'skipped') return [];
  const credentialId = entry.result.metadata['credential_id'];
  if (typeof credentialId !== 'string') return [];
  const { stepId, iteration, attempt, provider, action } = entry;
  return [
    {
      id: newId(),
      credential_id: credentialId,
      step_id: stepId,
      iteration,
      attempt,
      provider,
      action,
    },
  ];
}

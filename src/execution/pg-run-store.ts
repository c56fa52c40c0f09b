import { Injectable, Logger, Optional } from '@nestjs/common';

import type { JsonValue } from '../common/json.js';
import { Database, type Tx, type TxCtx } from '../database/database.js';
import { Tenant } from '../tenancy/tenant.entity.js';
import { Committer, CommitterLimits } from './committer.js';
import type { ExecutionLog } from './execution-log.entity.js';
import {
  LeaseLost,
  type Accepted,
  type JournalEntry,
  type Lease,
  type LeasedRun,
  type NewRun,
  type RunOutcome,
  type RunStore,
} from './run-store.js';
import { acceptRun, flushRuns, writeRun } from './sql/flush-runs.js';
import { findExecution, listJournal } from './sql/read-execution.js';

/** Runs in PostgreSQL: written by group commit, read as the run-as user. */
@Injectable()
export class PgRunStore implements RunStore {
  private readonly logger = new Logger('execution');
  private readonly committer: Committer;

  constructor(
    private readonly database: Database,
    @Optional() limits: CommitterLimits = new CommitterLimits(),
  ) {
    this.committer = new Committer((writes) => flushRuns(database, writes), limits);
  }

  async accept(run: NewRun): Promise<Accepted> {
    const { state, executionId, requestHash, startedAt } = await this.committer.commit(
      acceptRun(run),
    );
    if (state === 'new') {
      const { hostId } = run;
      const isHeld = hostId !== null && startedAt !== null;
      return { kind: 'new', executionId, run: isHeld ? bornRunning(run, hostId, startedAt) : null };
    }
    if (requestHash !== run.idempotency?.requestHash) return { kind: 'key_reused' };
    return { kind: 'repeated', executionId };
  }

  async checkpoint(lease: Lease, entries: JournalEntry[]): Promise<void> {
    if (entries.length > 0) await this.write(lease, entries, null);
  }

  async finish(lease: Lease, entries: JournalEntry[], outcome: RunOutcome): Promise<void> {
    await this.write(lease, entries, outcome);
  }

  async suspend(lease: Lease, entries: JournalEntry[]): Promise<void> {
    await this.write(lease, entries, 'paused');
  }

  async claim(input: { hostId: string; limit: number; held: string[] }): Promise<LeasedRun[]> {
    const claimed = await this.database.query<{
      tenant_id: string;
      execution_id: string;
      owner_id: string;
      lease_epoch: number;
    }>('select * from claim_executions($1, $2, $3)', [input.hostId, input.limit, input.held]);
    const runs: LeasedRun[] = [];
    for (const row of claimed) {
      const lease: Lease = {
        tenantId: row.tenant_id,
        ownerId: row.owner_id,
        executionId: row.execution_id,
        hostId: input.hostId,
        epoch: row.lease_epoch,
      };
      try {
        runs.push(await this.database.withTenant(actAs(lease), (tx) => readRun(tx, lease)));
      } catch (error) {
        // Leased and not walked: a later claim takes it up. The others must not wait for it.
        const fields = { err: error, execution_id: lease.executionId };
        this.logger.error(fields, 'a leased run could not be read');
      }
    }
    return runs;
  }

  private async write(...what: Parameters<typeof writeRun>): Promise<void> {
    const { state } = await this.committer.commit(writeRun(...what));
    if (state !== 'written') throw new LeaseLost(what[0]);
  }
}

/** A run is read with the rights of its run-as user. */
function actAs(run: { tenantId: string; ownerId: string }): TxCtx {
  return { tenantId: run.tenantId, userId: run.ownerId, role: 'user' };
}

function bornRunning(run: NewRun, hostId: string, startedAt: Date): LeasedRun {
  return {
    lease: {
      tenantId: run.tenantId,
      ownerId: run.ownerId,
      executionId: run.id,
      hostId,
      epoch: 1,
    },
    tenantName: run.tenantName,
    planId: run.planId,
    planVersion: run.planVersion,
    definition: run.definition,
    visibility: run.visibility,
    input: run.input,
    startedAt,
    journal: run.journal,
    forgiven: {},
    takeovers: 0,
  };
}

async function readRun(tx: Tx, lease: Lease): Promise<LeasedRun> {
  const execution = await findExecution(tx, lease);
  if (!execution) throw new Error(`execution ${lease.executionId} was leased but is not there`);
  const logs = await listJournal(tx, lease);
  const tenant = await tx.findOneByOrFail(Tenant, { id: lease.tenantId });
  return {
    lease,
    tenantName: tenant.name,
    planId: execution.planId,
    planVersion: execution.planVersion,
    definition: execution.definition,
    visibility: execution.visibility,
    input: execution.input,
    startedAt: execution.startedAt ?? execution.createdAt,
    journal: logs.map(toEntry),
    forgiven: execution.forgiven ?? {},
    takeovers: execution.takeovers,
  };
}

function toEntry(log: ExecutionLog): JournalEntry {
  const head = {
    stepId: log.stepId,
    iteration: log.iteration,
    provider: log.provider,
    action: log.action,
    version: log.version,
    attempt: log.attempt,
    startedAt: log.startedAt,
  };
  const input: JsonValue = log.input;
  switch (log.status) {
    case 'started':
      return { ...head, status: 'started', input };
    case 'skipped':
      return { ...head, status: 'skipped' };
    case 'success':
    case 'error':
      return {
        ...head,
        status: log.status,
        input,
        result: {
          success: log.status === 'success',
          output: log.output,
          message: log.message ?? '',
          metadata: log.metadata ?? {},
          error: log.error,
        },
        latencyMs: log.latencyMs ?? 0,
        finishedAt: log.finishedAt ?? log.startedAt,
      };
  }
}

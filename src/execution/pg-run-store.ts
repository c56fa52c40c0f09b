import { Injectable, Logger } from '@nestjs/common';

import type { JsonValue } from '../common/json.js';
import { Database, type Tx, type TxCtx } from '../database/database.js';
import { Tenant } from '../tenancy/tenant.entity.js';
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
import { finishExecution } from './sql/finish-execution.js';
import { findByIdempotencyKey, insertExecution } from './sql/insert-execution.js';
import { findExecution, listJournal } from './sql/read-execution.js';
import { suspendExecution } from './sql/suspend-execution.js';
import { seedJournal, writeJournal } from './sql/write-journal.js';

/** Runs in PostgreSQL, one transaction per call, as the run-as user. */
@Injectable()
export class PgRunStore implements RunStore {
  private readonly logger = new Logger('execution');

  constructor(private readonly database: Database) {}

  async accept(run: NewRun): Promise<Accepted> {
    return await this.database.withTenant(actAs(run), async (tx) => {
      const inserted = await insertExecution(tx, run);
      if (inserted) {
        if (run.journal.length > 0) await seedJournal(tx, run);
        return {
          kind: 'new',
          executionId: run.id,
          run: run.hostId === null ? null : bornRunning(run, run.hostId, inserted.startedAt),
        };
      }
      const key = run.idempotency?.key ?? '';
      const earlier = await findByIdempotencyKey(tx, { ...run, key });
      if (earlier?.requestHash !== run.idempotency?.requestHash) return { kind: 'key_reused' };
      return { kind: 'repeated', executionId: earlier?.id ?? '' };
    });
  }

  async checkpoint(lease: Lease, entries: JournalEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await this.database.withTenant(actAs(lease), async (tx) => {
      if (!(await writeJournal(tx, lease, entries))) throw new LeaseLost(lease);
    });
  }

  async finish(lease: Lease, entries: JournalEntry[], outcome: RunOutcome): Promise<void> {
    await this.database.withTenant(actAs(lease), async (tx) => {
      if (entries.length > 0 && !(await writeJournal(tx, lease, entries)))
        throw new LeaseLost(lease);
      if (!(await finishExecution(tx, lease, outcome))) throw new LeaseLost(lease);
    });
  }

  async suspend(lease: Lease, entries: JournalEntry[]): Promise<void> {
    await this.database.withTenant(actAs(lease), async (tx) => {
      if (entries.length > 0 && !(await writeJournal(tx, lease, entries)))
        throw new LeaseLost(lease);
      if (!(await suspendExecution(tx, lease))) throw new LeaseLost(lease);
    });
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
}

/** The engine has no rights of its own: it acts as the run-as user. */
function actAs(run: { tenantId: string; ownerId: string }): TxCtx {
  return { tenantId: run.tenantId, userId: run.ownerId, role: 'user' };
}

function bornRunning(run: NewRun, hostId: string, startedAt: Date | null): LeasedRun {
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
    startedAt: startedAt ?? new Date(),
    journal: run.journal,
    forgiven: {},
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

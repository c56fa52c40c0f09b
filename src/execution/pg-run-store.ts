import { Injectable, Logger, Optional } from '@nestjs/common';

import type { JsonValue } from '../common/json.js';
import { Database, type Tx, type TxCtx } from '../database/database.js';
import { Tenant } from '../tenancy/tenant.entity.js';
import type { BlobHandle } from './blobs/blob-handle.js';
import { handlesInEntry, wholeOutcome } from './blobs/entry-blobs.js';
import { readBlobs, readHandlesOf } from './blobs/read-blobs.js';
import { bornRunning } from './born-running.js';
import { Committer, CommitterLimits } from './committer.js';
import { EngineMetrics } from './engine-metrics.js';
import type { ExecutionLog } from './execution-log.entity.js';
import {
  LeaseLost,
  type Accepted,
  type Claimed,
  type JournalEntry,
  type Lease,
  type LeasedRun,
  type NewRun,
  type OpenWait,
  type Progress,
  type RunOutcome,
  type RunStore,
  type WaitPlaceKey,
  type WaitState,
} from './run-store.js';
import { claimRuns } from './sql/claim-runs.js';
import { acceptRun, flushRuns, writeRun, type WholeProgress } from './sql/flush-runs.js';
import { findExecution, listJournal } from './sql/read-execution.js';
import { settleWaits } from './sql/settle-waits.js';

const MAX_WOKEN_AT_ONCE = 1_000;

/** Runs in PostgreSQL: written by group commit, read as the run-as user. */
@Injectable()
export class PgRunStore implements RunStore {
  private readonly logger = new Logger('execution');
  private readonly committer: Committer;

  constructor(
    private readonly database: Database,
    @Optional() limits: CommitterLimits = new CommitterLimits(),
    @Optional() private readonly metrics: EngineMetrics = new EngineMetrics(),
  ) {
    // On connections of its own: what runs have come to must not wait for those who only ask.
    const lane = {
      query: <Row>(sql: string, params?: unknown[]) => database.queryReserved<Row>(sql, params),
    };
    this.committer = new Committer(
      (writes) => this.metrics.timeFlush(writes, () => flushRuns(lane, writes)),
      limits,
    );
    metrics.countWaiting = () => this.committer.waitingCount;
  }

  async accept(run: NewRun, progress?: Progress): Promise<Accepted> {
    const whole = progress ? await this.wholeProgress(run, progress) : null;
    const { state, executionId, requestHash, startedAt } = await this.committer.commit(
      acceptRun(run, whole),
    );
    if (state === 'new') {
      this.metrics.noteAccepted();
      if (whole?.end) this.metrics.noteFinished(whole.end.status);
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
    const whole = await wholeOutcome(outcome, {
      executionId: lease.executionId,
      entries,
      read: (ids) => this.readBlobs(lease, ids),
    });
    await this.write(lease, entries, whole);
    this.metrics.noteFinished(whole.status);
  }

  async suspend(lease: Lease, entries: JournalEntry[]): Promise<void> {
    await this.write(lease, entries, { status: 'paused' });
  }

  async rest(lease: Lease, entries: JournalEntry[], retryInMs: number | null): Promise<void> {
    await this.write(lease, entries, { status: 'waiting', retryInMs });
  }

  async readBlobs(lease: Lease, ids: readonly string[]): Promise<Map<string, JsonValue>> {
    return await this.database.withTenant(actAs(lease), (tx) => readBlobs(tx, lease, ids));
  }

  async settleWaits(lease: Lease, places: readonly WaitPlaceKey[]): Promise<WaitState[]> {
    const states = await settleWaits(this.database, lease, places);
    // Who asks has waits.
    if (states.length === 0) throw new LeaseLost(lease);
    return states;
  }

  async wakeDue(): Promise<number> {
    const [row] = await this.database.query<{ count: number }>(
      'select wake_executions($1) as count',
      [MAX_WOKEN_AT_ONCE],
    );
    return row?.count ?? 0;
  }

  async claim(input: { hostId: string; tenantId: string; places: number }): Promise<Claimed> {
    const claimed = await claimRuns(this.database, input);
    const runs = await Promise.all(
      claimed.map(async ({ run, hasBegun }) => (hasBegun ? await this.readLeased(run.lease) : run)),
    );
    return {
      runs: runs.filter((run) => run !== null),
      isLimited: claimed.some(({ isLimited }) => isLimited),
    };
  }

  async takeOver(input: {
    hostId: string;
    limit: number;
    held: string[] | null;
  }): Promise<LeasedRun[]> {
    const taken = await this.database.query<LeasedRow>('select * from take_over_runs($1, $2, $3)', [
      input.hostId,
      input.limit,
      input.held,
    ]);
    const runs = await Promise.all(
      taken.map((row) =>
        this.readLeased({
          tenantId: row.tenant_id,
          ownerId: row.owner_id,
          executionId: row.execution_id,
          hostId: input.hostId,
          epoch: row.lease_epoch,
        }),
      ),
    );
    return runs.filter((run) => run !== null);
  }

  private async wholeProgress(run: NewRun, progress: Progress): Promise<WholeProgress> {
    const { entries, end } = progress;
    if (!end) return { ...progress, end };
    // All that it has given is in these entries: nothing of it is stored.
    const read = (): Promise<Map<string, JsonValue>> =>
      Promise.resolve(new Map<string, JsonValue>());
    return { ...progress, end: await wholeOutcome(end, { executionId: run.id, entries, read }) };
  }

  private async readLeased(lease: Lease): Promise<LeasedRun | null> {
    try {
      return await this.database.withTenant(actAs(lease), (tx) => readRun(tx, lease));
    } catch (error) {
      // Leased and not walked: a later claim takes it up. The others must not wait for it.
      const fields = { err: error, execution_id: lease.executionId };
      this.logger.error(fields, 'a leased run could not be read');
      return null;
    }
  }

  private async write(...what: Parameters<typeof writeRun>): Promise<void> {
    const { state } = await this.committer.commit(writeRun(...what));
    if (state !== 'written') throw new LeaseLost(what[0]);
  }
}

interface LeasedRow {
  tenant_id: string;
  execution_id: string;
  owner_id: string;
  lease_epoch: number;
}

/** A run is read with the rights of its run-as user. */
function actAs(run: { tenantId: string; ownerId: string }): TxCtx {
  return { tenantId: run.tenantId, userId: run.ownerId, role: 'user' };
}

async function readRun(tx: Tx, lease: Lease): Promise<LeasedRun> {
  const execution = await findExecution(tx, lease);
  if (!execution) throw new Error(`execution ${lease.executionId} was leased but is not there`);
  const logs = await listJournal(tx, lease);
  const handles = await readHandlesOf(tx, lease, logs);
  const tenant = await tx.findOneByOrFail(Tenant, { id: lease.tenantId });
  return {
    lease,
    tenantName: tenant.name,
    planId: execution.planId,
    planVersion: execution.planVersion,
    definition: execution.definition,
    visibility: execution.visibility,
    triggerData: execution.triggerData,
    input: execution.input,
    startedAt: execution.startedAt ?? execution.createdAt,
    depth: execution.depth,
    parentId: execution.parentId,
    journal: logs.map((log) => toEntry(log, handles)),
    forgiven: execution.forgiven ?? {},
    takeovers: execution.takeovers,
    unstored: null,
  };
}

function toEntry(log: ExecutionLog, handles: ReadonlyMap<string, BlobHandle>): JournalEntry {
  const head = {
    stepId: log.stepId,
    iteration: log.iteration,
    provider: log.provider,
    action: log.action,
    version: log.version,
    attempt: log.attempt,
    startedAt: log.startedAt,
    ...handlesInEntry(log, handles),
  };
  const input: JsonValue = log.input;
  switch (log.status) {
    case 'started':
      return { ...head, status: 'started', input };
    case 'waiting':
      return { ...head, status: 'waiting', input, wait: log.metadata?.['wait'] as OpenWait };
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

import type { EventEmitter } from 'node:events';

import { Inject, Injectable, Optional, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource, type EntityManager, type QueryRunner } from 'typeorm';

import { DatabaseAwayError, isConnectionLost } from '../common/connection-lost.js';
import type { Ctx } from '../common/ctx.js';
import { DatabaseWatch } from './database-watch.js';
import { OpenClients } from './open-clients.js';

/** A transaction that sees one tenant's rows, as one of its users. */
export type Tx = EntityManager;

/** What a transaction needs of a context: the engine has no request, but a tenant and a user. */
export type TxCtx = Pick<Ctx, 'tenantId' | 'userId' | 'role'>;

const MAX_TRIES = 4;
/** The heartbeat, and each lane of the committer. */
const MAX_RESERVED = 3;

@Injectable()
export class Database implements OnApplicationShutdown {
  /** Those of the reserved connections that rest, and how many there are in all. */
  private readonly reserved: QueryRunner[] = [];
  private reservedCount = 0;

  constructor(
    @Inject(DataSource) private readonly source: DataSource,
    /** Without one, each call finds out by itself that the database is away. */
    @Optional() @Inject(DatabaseWatch) private readonly watch: DatabaseWatch | null = null,
  ) {
    const pool = (source.driver as { master?: EventEmitter }).master;
    if (pool && watch) {
      const clients = new OpenClients(pool);
      // What was sent to a server that no longer answers would be waited for until it times out.
      watch.onAway(() => {
        clients.cutOff();
      });
    }
    // A connection that breaks between pool and query runner has no listener for a moment, and an
    // unheard error ends the process. Whoever uses it next is told by its own query.
    pool?.on('connect', (client: EventEmitter) => client.on('error', ignoreBrokenConnection));
  }

  /** Known to be: everything asked of it fails at once. */
  get isAway(): boolean {
    return this.watch?.isAway ?? false;
  }

  /**
   * The only door to tenant tables: one transaction in which row-level security shows the rows of
   * `ctx`'s tenant that its user may see. `work` holds no side effects outside the database, since
   * the whole transaction is repeated after a serialization failure or a deadlock.
   */
  async withTenant<T>(ctx: TxCtx, work: (tx: Tx) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      this.watch?.assertThere();
      try {
        return await this.source.transaction(async (tx) => {
          await tx.query(
            `select set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true), set_config('app.role', $3, true)`,
            [ctx.tenantId, ctx.userId, ctx.role],
          );
          return await work(tx);
        });
      } catch (error) {
        if (attempt >= MAX_TRIES || !isTransient(error)) throw await this.explain(error);
      }
    }
  }

  /**
   * The same as `query`, on connections kept for what the engine lives by: what it asks never waits behind
   * requests. More callers at a time than there are of these share the others.
   */
  async queryReserved<Row>(sql: string, params: unknown[] = []): Promise<Row[]> {
    this.watch?.assertThere();
    const runner = this.reserved.pop() ?? this.reserveOne();
    if (!runner) return await this.query(sql, params);
    try {
      const rows = (await runner.query(sql, params)) as Row[];
      this.reserved.push(runner);
      return rows;
    } catch (error) {
      this.reserved.push(runner);
      // Where one broke, those that rest have most likely broken with it.
      if (isConnectionLost(error)) await this.endReserved();
      throw await this.explain(error);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.endReserved();
  }

  /**
   * Calls one of the functions that work without a tenant (authenticate, claim_executions, ...) or
   * reads the plugin catalogue. Tenant tables show no rows here.
   */
  async query<Row>(sql: string, params: unknown[] = []): Promise<Row[]> {
    this.watch?.assertThere();
    try {
      return await this.source.query(sql, params);
    } catch (error) {
      throw await this.explain(error);
    }
  }

  /** Those that rest just now. */
  private async endReserved(): Promise<void> {
    const ended = this.reserved.splice(0);
    this.reservedCount -= ended.length;
    await Promise.all(ended.map((runner) => runner.release()));
  }

  private reserveOne(): QueryRunner | null {
    if (this.reservedCount >= MAX_RESERVED) return null;
    this.reservedCount++;
    return this.source.createQueryRunner();
  }

  /** A lost connection may be the first sign of an outage, or of nothing else: whoever lost it is told which. */
  private async explain(error: unknown): Promise<unknown> {
    if (!this.watch || error instanceof DatabaseAwayError || !isConnectionLost(error)) return error;
    this.watch.doubt();
    return (await this.watch.confirmAway()) ? new DatabaseAwayError({ cause: error }) : error;
  }
}

function ignoreBrokenConnection(): void {
  return;
}

/** serialization_failure and deadlock_detected: the same transaction may succeed when begun anew. */
function isTransient(error: unknown): boolean {
  const code = (error as { driverError?: { code?: string } }).driverError?.code;
  return code === '40001' || code === '40P01';
}

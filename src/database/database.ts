import type { EventEmitter } from 'node:events';

import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource, type EntityManager, type QueryRunner } from 'typeorm';

import type { Ctx } from '../common/ctx.js';

/** A transaction that sees one tenant's rows, as one of its users. */
export type Tx = EntityManager;

/** What a transaction needs of a context: the engine has no request, but a tenant and a user. */
export type TxCtx = Pick<Ctx, 'tenantId' | 'userId' | 'role'>;

const MAX_TRIES = 4;

@Injectable()
export class Database implements OnApplicationShutdown {
  private reserved: QueryRunner | null = null;

  constructor(@Inject(DataSource) private readonly source: DataSource) {
    const pool = (source.driver as { master?: EventEmitter }).master;
    // A connection that breaks between pool and query runner has no listener for a moment, and an
    // unheard error ends the process. Whoever uses it next is told by its own query.
    pool?.on('connect', (client: EventEmitter) => client.on('error', ignoreBrokenConnection));
  }

  /**
   * The only door to tenant tables: one transaction in which row-level security shows the rows of
   * `ctx`'s tenant that its user may see. `work` holds no side effects outside the database, since
   * the whole transaction is repeated after a serialization failure or a deadlock.
   */
  async withTenant<T>(ctx: TxCtx, work: (tx: Tx) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.source.transaction(async (tx) => {
          await tx.query(
            `select set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true), set_config('app.role', $3, true)`,
            [ctx.tenantId, ctx.userId, ctx.role],
          );
          return await work(tx);
        });
      } catch (error) {
        if (attempt >= MAX_TRIES || !isTransient(error)) throw error;
      }
    }
  }

  /**
   * The same as `query`, on one connection kept for this alone: what it asks never waits behind
   * requests. One caller at a time.
   */
  async queryReserved<Row>(sql: string, params: unknown[] = []): Promise<Row[]> {
    this.reserved ??= this.source.createQueryRunner();
    try {
      return (await this.reserved.query(sql, params)) as Row[];
    } catch (error) {
      const broken = this.reserved;
      this.reserved = null;
      await broken.release();
      throw error;
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.reserved?.release();
  }

  /**
   * Calls one of the functions that work without a tenant (authenticate, claim_executions, ...) or
   * reads the plugin catalogue. Tenant tables show no rows here.
   */
  async query<Row>(sql: string, params: unknown[] = []): Promise<Row[]> {
    return await this.source.query(sql, params);
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

import { Injectable } from '@nestjs/common';

import { WeighedCache } from '../common/weighed-cache.js';
import { Database, type TxCtx } from '../database/database.js';
import type { RunDefinition } from '../execution/run-store.js';

/** As JSON text; in memory it is a few times as much. */
const MAX_CACHED_CHARS = 16 * 1024 * 1024;

export interface PlanVersionKey {
  planId: string;
  version: number;
}

/** What plan versions run. A version never changes, so those that were used last are kept. */
@Injectable()
export class PlanDefinitions {
  private readonly kept = new WeighedCache<RunDefinition>(MAX_CACHED_CHARS);
  private readonly reading = new Map<string, Promise<RunDefinition | null>>();

  constructor(private readonly database: Database) {}

  /**
   * Whether the caller may see the plan is for the caller to know: it is asked only where the definition
   * has to be read.
   * @returns null: the caller sees no such version
   */
  async find(ctx: TxCtx, key: PlanVersionKey): Promise<RunDefinition | null> {
    const name = `${ctx.tenantId}/${key.planId}/${String(key.version)}`;
    const known = this.kept.get(name);
    if (known) return known;
    let reading = this.reading.get(name);
    if (!reading) {
      reading = this.read(ctx, key, name).finally(() => this.reading.delete(name));
      this.reading.set(name, reading);
    }
    return await reading;
  }

  private async read(ctx: TxCtx, key: PlanVersionKey, name: string): Promise<RunDefinition | null> {
    const [row] = await this.database.withTenant(ctx, (tx) =>
      tx.query<(RunDefinition & { chars: number })[]>(
        `select steps, pins, length(steps::text) + length(pins::text) as chars from plan_versions
          where tenant_id = $1 and plan_id = $2 and version = $3`,
        [ctx.tenantId, key.planId, key.version],
      ),
    );
    if (!row) return null;
    const definition = { steps: row.steps, pins: row.pins };
    this.kept.set(name, definition, row.chars);
    return definition;
  }
}

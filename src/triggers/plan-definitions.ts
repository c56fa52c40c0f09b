import { Injectable } from '@nestjs/common';

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
  /** In the order of their last use. */
  private readonly kept = new Map<string, Weighed>();
  private readonly reading = new Map<string, Promise<Weighed | null>>();
  private keptChars = 0;

  constructor(private readonly database: Database) {}

  /**
   * Whether the caller may see the plan is for the caller to know: it is asked only where the definition
   * has to be read.
   * @returns null: the caller sees no such version
   */
  async find(ctx: TxCtx, key: PlanVersionKey): Promise<RunDefinition | null> {
    const name = `${ctx.tenantId}/${key.planId}/${String(key.version)}`;
    const known = this.kept.get(name);
    if (known) {
      this.kept.delete(name);
      this.kept.set(name, known);
      return known.definition;
    }
    let reading = this.reading.get(name);
    if (!reading) {
      reading = this.read(ctx, key).finally(() => this.reading.delete(name));
      this.reading.set(name, reading);
    }
    const found = await reading;
    if (found && !this.kept.has(name)) this.keep(name, found);
    return found?.definition ?? null;
  }

  private keep(name: string, found: Weighed): void {
    if (found.chars > MAX_CACHED_CHARS) return;
    this.kept.set(name, found);
    this.keptChars += found.chars;
    for (const [oldest, { chars }] of this.kept) {
      if (this.keptChars <= MAX_CACHED_CHARS) return;
      this.kept.delete(oldest);
      this.keptChars -= chars;
    }
  }

  private async read(ctx: TxCtx, key: PlanVersionKey): Promise<Weighed | null> {
    const [row] = await this.database.withTenant(ctx, (tx) =>
      tx.query<(RunDefinition & { chars: number })[]>(
        `select steps, pins, length(steps::text) + length(pins::text) as chars from plan_versions
          where tenant_id = $1 and plan_id = $2 and version = $3`,
        [ctx.tenantId, key.planId, key.version],
      ),
    );
    return row ? { definition: { steps: row.steps, pins: row.pins }, chars: row.chars } : null;
  }
}

interface Weighed {
  definition: RunDefinition;
  chars: number;
}

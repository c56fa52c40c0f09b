import { AppError } from '../common/errors.js';
import { isUuid } from '../common/ids.js';
import type { Database, TxCtx } from '../database/database.js';
import type { ExecutionStatus } from './execution-status.js';

/** What can be waited for. */
export interface ExecutionState {
  status: ExecutionStatus;
  pause_requested: boolean;
}

/** Those who ask within this time share one query. */
const GATHER_MS = 10;

/**
 * How executions stand, without their journals. Whoever waits for one that isn't walked here asks again
 * and again; a thousand of them are a few queries.
 */
export class RunStates {
  /** By tenant and user. */
  private readonly gathering = new Map<string, Gathered>();

  constructor(private readonly database: Pick<Database, 'withTenant'>) {}

  /** @throws AppError request.not_found, also for what the caller may not see. */
  async get(ctx: TxCtx, id: string): Promise<ExecutionState> {
    const state = isUuid(id) ? await this.find(ctx, id) : undefined;
    if (!state) throw new AppError('request.not_found', `there is no execution ${id}`);
    return state;
  }

  private async find(ctx: TxCtx, id: string): Promise<ExecutionState | undefined> {
    const key = `${ctx.tenantId}/${ctx.userId}/${ctx.role}`;
    let gathered = this.gathering.get(key);
    if (!gathered) {
      const ids = new Set<string>();
      gathered = { ids, states: this.readSoon(ctx, key, ids) };
      this.gathering.set(key, gathered);
    }
    gathered.ids.add(id);
    return (await gathered.states).get(id);
  }

  private async readSoon(
    ctx: TxCtx,
    key: string,
    ids: ReadonlySet<string>,
  ): Promise<Map<string, ExecutionState>> {
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    this.gathering.delete(key);
    const rows = await this.database.withTenant(ctx, (tx) =>
      tx.query<(ExecutionState & { id: string })[]>(
        'select id, status, pause_requested from executions where tenant_id = $1 and id = any ($2)',
        [ctx.tenantId, [...ids]],
      ),
    );
    return new Map(rows.map((row) => [row.id, row]));
  }
}

interface Gathered {
  ids: Set<string>;
  states: Promise<Map<string, ExecutionState>>;
}

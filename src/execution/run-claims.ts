import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';

import { isUuid } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import { Database } from '../database/database.js';
import { WORK_QUEUE, type WorkQueue } from '../queue/work-queue.js';
import { RunDispatcher } from './run-dispatcher.js';
import { RUN_STORE, type RunStore } from './run-store.js';

/** Some read the runs that they got while others ask for the next tenant's. */
const CONCURRENT_TURNS = 4;

/**
 * Takes queued runs to this host: the queue holds tenants that have some, first in, first out, and
 * each turn of one takes as many as its weight says. Tenants take turns, however long their
 * queues are. What goes wrong here costs a second: runs stay queued, and are announced again.
 */
@Injectable()
export class RunClaims implements OnModuleInit {
  private readonly logger = new Logger('execution');
  /** Tenants with limits, runs of which ended here. */
  private readonly freed = new Set<string>();
  private telling: Promise<void> | null = null;

  constructor(
    @Inject(WORK_QUEUE) private readonly queue: WorkQueue,
    @Inject(RUN_STORE) private readonly store: RunStore,
    private readonly dispatcher: RunDispatcher,
    private readonly database: Database,
  ) {}

  onModuleInit(): void {
    this.queue.register({
      name: 'claim_runs',
      concurrency: CONCURRENT_TURNS,
      isFull: () => this.dispatcher.isFull(),
      onIdle: () => {
        this.dispatcher.settleWithQueue();
      },
      run: (payload) => this.takeTurn(payload),
    });
  }

  private async takeTurn({ tenant }: JsonObject): Promise<void> {
    if (typeof tenant !== 'string' || !isUuid(tenant)) return;
    try {
      await this.dispatcher.withPlaces(tenant, (places) => this.claim(tenant, places));
    } catch (error) {
      const fields = { err: error, tenant_id: tenant };
      this.logger.error(fields, 'no runs can be claimed; it is tried again each second');
    }
  }

  private async claim(tenantId: string, places: number): Promise<void> {
    if (places === 0) {
      await this.announce([tenantId]);
      return;
    }
    const hostId = this.dispatcher.hostId;
    const { runs, isLimited } = await this.store.claim({ hostId, tenantId, places });
    for (const run of runs) {
      const { ended } = this.dispatcher.launch(run);
      if (isLimited) void ended.then(() => this.tellOfRoom(tenantId));
    }
  }

  /** What limits kept back may begin now: told at once, and together while one telling is under way. */
  private async tellOfRoom(tenantId: string): Promise<void> {
    this.freed.add(tenantId);
    while (this.freed.size > 0 && !this.telling) {
      const tenants = [...this.freed];
      this.freed.clear();
      this.telling = this.database.query('select announce_room($1)', [tenants]).then(
        () => undefined,
        (error: unknown) => {
          this.logger.warn({ err: error }, 'room within limits is noticed a second later');
        },
      );
      await this.telling;
      this.telling = null;
    }
  }

  private async announce(tenantIds: string[]): Promise<void> {
    await this.database.query('select announce_work($1)', [tenantIds]);
  }
}

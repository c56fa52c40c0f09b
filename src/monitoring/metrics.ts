import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { collectDefaultMetrics, Registry } from 'prom-client';

import { DatabaseWatch } from '../database/database-watch.js';
import { EngineMetrics } from '../execution/engine-metrics.js';
import { RunDispatcher } from '../execution/run-dispatcher.js';
import { Spool } from '../execution/spool/spool.js';
import { countDatabase } from './count-database.js';
import { countExecutions } from './count-executions.js';
import { countSpool } from './count-spool.js';

/** Prometheus text format. */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** What this host counts of itself. Nothing here asks the database: it is read while that is away, too. */
@Injectable()
export class Metrics implements OnApplicationShutdown {
  /** Of this host alone: several live in one process in tests. */
  readonly registry = new Registry();

  constructor(
    engine: EngineMetrics,
    dispatcher: RunDispatcher,
    spool: Spool,
    watch: DatabaseWatch,
  ) {
    collectDefaultMetrics({ register: this.registry });
    countExecutions(this.registry, { engine, dispatcher });
    countSpool(this.registry, spool);
    countDatabase(this.registry, watch);
  }

  /** All of it in the text format of Prometheus. */
  async read(): Promise<string> {
    return await this.registry.metrics();
  }

  onApplicationShutdown(): void {
    this.registry.clear();
  }
}

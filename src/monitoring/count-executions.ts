import { Counter, Histogram, type Registry } from 'prom-client';

import type { EngineMetrics, FinishedStatus } from '../execution/engine-metrics.js';
import type { RunDispatcher } from '../execution/run-dispatcher.js';
import { counterOf, gaugeOf } from './count-read.js';

const FLUSH_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Executions of this host, and how they are written. */
export function countExecutions(
  registry: Registry,
  {
    engine,
    dispatcher,
  }: { engine: EngineMetrics; dispatcher: Pick<RunDispatcher, 'runningCount'> },
): void {
  counterOf(registry, {
    name: 'stepwell_executions_accepted_total',
    help: 'Executions that were begun through this host',
    read: () => engine.accepted,
  });
  new Counter({
    name: 'stepwell_executions_finished_total',
    help: 'Executions that ended on this host',
    labelNames: ['status'],
    registers: [registry],
    collect() {
      this.reset();
      for (const status of Object.keys(engine.finished) as FinishedStatus[]) {
        this.inc({ status }, engine.finished[status]);
      }
    },
  });
  gaugeOf(registry, {
    name: 'stepwell_executions_running',
    help: 'Executions that this host walks now',
    read: () => dispatcher.runningCount,
  });
  gaugeOf(registry, {
    name: 'stepwell_committer_waiting',
    help: 'Writes that wait for a flush',
    read: () => engine.countWaiting(),
  });
  const seconds = new Histogram({
    name: 'stepwell_flush_seconds',
    help: 'Flushes of the committer, from their begin to their answer',
    buckets: FLUSH_SECONDS,
    registers: [registry],
  });
  const rows = new Counter({
    name: 'stepwell_flush_rows_total',
    help: 'Runs and journal entries that flushes wrote',
    registers: [registry],
  });
  const failures = new Counter({
    name: 'stepwell_flush_failures_total',
    help: 'Flushes that failed as a whole',
    registers: [registry],
  });
  engine.onFlush((flush) => {
    seconds.observe(flush.seconds);
    if (flush.hasFailed) failures.inc();
    else rows.inc(flush.rows);
  });
}

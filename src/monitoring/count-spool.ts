import type { Registry } from 'prom-client';

import type { Spool } from '../execution/spool/spool.js';
import { counterOf, gaugeOf } from './count-read.js';

/** What is kept while the database is away, and what became of it. */
export function countSpool(
  registry: Registry,
  spool: Pick<Spool, 'counts' | 'measure' | 'setAside'>,
): void {
  gaugeOf(registry, {
    name: 'stepwell_spool_records',
    help: 'Executions in the spool of this host',
    read: () => spool.measure().records,
  });
  gaugeOf(registry, {
    name: 'stepwell_spool_bytes',
    help: 'Size of the files of the spool',
    read: () => spool.measure().bytes,
  });
  gaugeOf(registry, {
    name: 'stepwell_spool_oldest_age_seconds',
    help: 'Age of the oldest execution in the spool; 0 when it is empty',
    read: () => {
      const { oldestAt } = spool.measure();
      return oldestAt === null ? 0 : Math.max(0, (Date.now() - oldestAt) / 1_000);
    },
  });
  counterOf(registry, {
    name: 'stepwell_spool_accepted_total',
    help: 'Executions that went into the spool',
    read: () => spool.counts.accepted,
  });
  counterOf(registry, {
    name: 'stepwell_spool_refused_total',
    help: 'Executions that it had no room for, or that could not be written',
    read: () => spool.counts.refused,
  });
  counterOf(registry, {
    name: 'stepwell_spool_flushed_total',
    help: 'Records that left the spool after the database was back',
    read: () => spool.counts.flushed,
  });
  counterOf(registry, {
    name: 'stepwell_spool_set_aside_total',
    help: 'Records and files that could not be stored and were set aside',
    read: () => spool.setAside.count,
  });
}

import type { Registry } from 'prom-client';

import type { DatabaseWatch } from '../database/database-watch.js';
import { counterOf, gaugeOf } from './count-read.js';

/** Whether this host reaches PostgreSQL. */
export function countDatabase(
  registry: Registry,
  watch: Pick<DatabaseWatch, 'awaySeconds' | 'isAway' | 'outages'>,
): void {
  gaugeOf(registry, {
    name: 'stepwell_database_up',
    help: '1: PostgreSQL answers this host; 0: it is away',
    read: () => (watch.isAway ? 0 : 1),
  });
  counterOf(registry, {
    name: 'stepwell_database_away_seconds_total',
    help: 'Seconds for which PostgreSQL was away',
    read: () => watch.awaySeconds,
  });
  counterOf(registry, {
    name: 'stepwell_database_outages_total',
    help: 'Times that PostgreSQL went away',
    read: () => watch.outages,
  });
}

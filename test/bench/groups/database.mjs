import { randomUUID } from 'node:crypto';

import { CommitterLimits } from '../../../dist/execution/committer.js';
import { PgRunStore } from '../../../dist/execution/pg-run-store.js';
import { openBenchDatabase } from '../database/bench-database.mjs';
import { SingleWrites } from '../database/single-writes.mjs';
import { StoredRuns, WRITES_PER_RUN } from '../database/stored-runs.mjs';
import { quantilesOf, spreadOf } from '../statistics.mjs';

/** As many writes are under way at a time. */
const CALLERS = 400;
const STEADY_PER_SECOND = 500;
const VARIANTS = [
  { name: 'one transaction per write', isGrouped: false },
  { name: `committer, ${new CommitterLimits().lanes} lanes`, isGrouped: true },
];

/**
 * What the store of runs takes on without a host: new runs, and whole runs of three durable steps. Then, at a
 * steady rate of new runs that doesn't wait for answers, how long one takes to be stored.
 */
export async function measure(bench) {
  const { repetitions } = bench.options;
  const directory = bench.folder('database');
  const database = await openBenchDatabase({ directory, keeper: bench.keeper });
  try {
    const runs = new StoredRuns({ tenant: database.tenant, hostId: randomUUID() });
    const measured = VARIANTS.map(() => []);
    for (let repetition = 0; repetition < repetitions; repetition++) {
      // In turns, so that a busy machine treats them alike.
      for (const [at, variant] of VARIANTS.entries()) {
        measured[at].push(await measureStore(bench, { runs, source: database.source, ...variant }));
      }
    }
    return VARIANTS.map(({ name }, at) => ({ name, figures: spreadOf(measured[at]) }));
  } finally {
    await database.close();
  }
}

async function measureStore({ options: { seconds } }, { runs, source, isGrouped }) {
  const counted = { flushes: 0 };
  const store = isGrouped ? groupedStore(source, counted) : new SingleWrites(source, counted);
  const work = { counted, seconds };
  const accepted = await keepBusy((count) => runs.accept(store, count), work);
  const whole = await keepBusy((count) => runs.runThreeSteps(store, count), work);
  const { p50, p99 } = await acceptSteadily(() => runs.accept(store), seconds);
  return {
    accepted_per_s: accepted.perSecond,
    runs_per_s: whole.perSecond,
    flushes_per_s: whole.flushesPerSecond,
    writes_per_flush: (WRITES_PER_RUN * whole.perSecond) / whole.flushesPerSecond,
    accept_p50_ms: p50,
    accept_p99_ms: p99,
  };
}

function groupedStore(source, counted) {
  const query = async (sql, params) => {
    counted.flushes++;
    return await source.query(sql, params);
  };
  return new PgRunStore({ query, queryReserved: query });
}

/** Callers that each begin anew as soon as they are answered; what they have done counts in parts. */
async function keepBusy(work, { counted, seconds }) {
  counted.flushes = 0;
  let done = 0;
  let isOver = false;
  const call = async () => {
    while (!isOver) {
      await work((part) => {
        if (!isOver) done += part;
      });
    }
  };
  const begin = performance.now();
  const callers = Promise.all(Array.from({ length: CALLERS }, call));
  // One that fails ends the bench at once.
  await Promise.race([callers, new Promise((resolve) => setTimeout(resolve, seconds * 1_000))]);
  isOver = true;
  const took = (performance.now() - begin) / 1_000;
  const { flushes } = counted;
  await callers;
  return { perSecond: done / took, flushesPerSecond: flushes / took };
}

/** New runs at a steady rate, whatever the answers take (an open loop). */
async function acceptSteadily(accept, seconds) {
  const total = Math.ceil(STEADY_PER_SECOND * seconds);
  const times = [];
  const under = [];
  const begin = performance.now();
  for (let i = 0; i < total;) {
    const due = Math.min(total, ((performance.now() - begin) / 1_000) * STEADY_PER_SECOND);
    for (; i < due; i++) {
      const planned = begin + (i / STEADY_PER_SECOND) * 1_000;
      under.push(accept().then(() => times.push(performance.now() - planned)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
  return quantilesOf(times);
}

/**
 * `npm run chaos`: hosts on one PostgreSQL run plans for clients and schedules, while they, the database and
 * their clocks are struck in many ways. A provider on loopback counts what reaches it by the key of each
 * effect. Prints what was accepted, finished, lost and repeated (docs/reliability.md says what each line
 * means). Exits with 1 when anything was lost or silently repeated, or a takeover took too long.
 *
 *   node test/chaos/chaos.mjs [--strikes 200] [--hosts 3] [--runs 30] [--seed 1] [--only kill,points]
 *                             [--spool] [--pause-ms 1200] [--takeover-limit-ms 6000] [--json] [--verbose]
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { Api } from './api.mjs';
import { count, settle } from './counting.mjs';
import { ChaosDatabase } from './database.mjs';
import { DatabaseClock } from './database-clock.mjs';
import { Hosts } from './hosts.mjs';
import { Load } from './load.mjs';
import { readOptions } from './options.mjs';
import { createPlans, createWebhook } from './plans.mjs';
import { startProvider } from './provider.mjs';
import { randomOf } from './random.mjs';
import { report } from './report.mjs';
import { Schedules } from './schedules.mjs';
import { Strikes } from './strikes.mjs';
import { Takeovers } from './takeovers.mjs';

const options = readOptions(process.argv);
/** Of its own, so that the same seed gives the same strikes whatever the load asks for. */
const strikeRandom = randomOf(options.seed);
const random = randomOf(options.seed + 1);
const directory = mkdtempSync(join(tmpdir(), 'stepwell-chaos-'));
const startedAt = performance.now();
/** In the order in which they are closed. */
const open = [];
let closing = null;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => void closeAll().finally(() => process.exit(1)));
}

try {
  const database = new ChaosDatabase(directory);
  open.unshift(() => database.stop());
  await database.start();
  const watch = { trap: null, gate: null };
  const key = randomBytes(32).toString('base64');
  const { hasSpool } = options;
  const hosts = new Hosts({ directory, database, watch, key, random: strikeRandom, hasSpool });
  const provider = await startProvider({ random, watch, hosts });
  open.unshift(() => provider.close());
  open.unshift(() => hosts.close());
  await hosts.open(options.hosts, `127.0.0.1:${provider.port}`);

  const api = new Api({ hosts, random });
  const plans = await createPlans(api, provider.url);
  const webhook = hasSpool ? await createWebhook(api, plans.small) : null;
  const clock = new DatabaseClock(database);
  const load = new Load({ api, database, plans, provider, random, webhook });
  const schedules = new Schedules({ api, database, clock, plans });
  const takeovers = new Takeovers(database);
  const world = {
    clock,
    database,
    hosts,
    load,
    provider,
    schedules,
    takeovers,
    watch,
    strikeRandom,
  };
  const strikes = await Strikes.of(world, options.only);

  await schedules.start();
  load.start(options.runs);
  await delay(1_000);
  for (let n = 0; n < options.strikes; n++) {
    const name = await strikes.next();
    tell(`${n + 1} ${name}`);
    load.assertWell();
    await delay(strikeRandom() * options.pauseMs);
  }
  await hosts.whole();
  await load.stop();
  tell('no more load');
  await schedules.stop();
  await takeovers.settle();
  await settle({ database, hosts });
  tell('settled');
  const figures = await count({ ...world, strikes }, options);
  report(figures, { ...options, tookMs: performance.now() - startedAt });
} finally {
  await closeAll();
}

function tell(what) {
  if (!options.isVerbose) return;
  console.error(`${((performance.now() - startedAt) / 1_000).toFixed(1)} s: ${what}`);
}

/** Ends all that was started, also when somebody interrupts. */
function closeAll() {
  closing ??= (async () => {
    for (const close of open) await close();
    rmSync(directory, { recursive: true, force: true });
  })();
  return closing;
}

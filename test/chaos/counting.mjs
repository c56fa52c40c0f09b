import { setTimeout as delay } from 'node:timers/promises';

const SETTLE_MS = 60_000;

/** Returns when every run has ended and nothing is spooled, or a minute has passed. */
export async function settle({ database, hosts }) {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const [{ left }] = await database.ask(
      'select count(*)::int as left from executions where finished_at is null',
    );
    const isDone = left === 0 && hosts.countSpooled().waiting === 0;
    if (isDone || performance.now() > deadline) return;
    await delay(200);
  }
}

/** All that the report tells: what clients, provider, journal and schedules say of the same runs. */
export async function count(world, { takeoverLimitMs }) {
  const { database, hosts, load, provider, schedules, strikes, takeovers } = world;
  const rows = await database.ask(
    `select id, status, trigger, error->>'code' as code, finished_at is not null as finished,
            idempotency_key is not null as has_key,
            -- Stands for the one that its key had begun before.
            case when status = 'cancelled' then origin_id end as first_id
       from executions`,
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  const toFirst = (id) => byId.get(id)?.first_id ?? id;
  const told = new Set([...load.accepted.keys()].map(toFirst));
  // Who sent no key doesn't ask again: of a request without an answer nobody was told.
  const isUntold = ({ id, trigger, first_id: firstId, has_key: hasKey }) =>
    ['manual', 'webhook'].includes(trigger) && firstId === null && hasKey && !told.has(id);
  const spooled = hosts.countSpooled();
  const isPoison = ({ id }) => load.accepted.get(id) === 'poison';
  const errors = (some) => countBy(some.flatMap(({ code }) => code ?? []));
  const fires = await schedules.count();
  return {
    strikes: strikes.done,
    points_not_reached: strikes.unhit,
    accepted: load.accepted.size,
    finished: [...load.accepted.keys()].filter((id) => byId.get(id)?.finished).length,
    lost: [...load.accepted.keys()].filter((id) => !byId.get(id)?.finished).length,
    by_status: countBy(rows.map(({ status }) => status)),
    waited: [...load.accepted.values()].filter((why) => why === 'waited').length,
    paused: load.controls.paused,
    cancelled: load.controls.cancelled,
    waits_answered: load.answered.size,
    split_keys: load.splitKeys.filter((ids) => new Set(ids.map(toFirst)).size > 1).length,
    runs_untold: rows.filter(isUntold).length,
    ...(hosts.hasSpool && {
      spooled_at_least: await hosts.countKept(),
      key_known_later: rows.filter(({ first_id: firstId }) => firstId !== null).length,
    }),
    spool_left: spooled.waiting,
    spool_set_aside: spooled.setAside,
    ...countEffects(provider.counts, await readJournal(database)),
    outcome_unknown_told: await countUnknown(database),
    checkpoints_repeated: await countRepeatedCheckpoints(database),
    fires_due: fires.due,
    fires_lost: fires.lost + rows.filter(isUnfinishedFire).length,
    fires_double: fires.double,
    poison_errors: errors(rows.filter(isPoison)),
    other_errors: errors(rows.filter((row) => !isPoison(row))),
    hosts_ended_by_themselves: hosts.endedByThemselves,
    ...measureTakeovers(takeovers.measured(), takeoverLimitMs),
  };
}

/**
 * What the provider saw against what the journal says. repeated: one key, several requests. missing:
 * the journal says success, and nobody came. untold: somebody came, and the journal knows nothing of it.
 */
function countEffects(counts, journal) {
  const seen = (method) => [...counts].filter(([path]) => path.startsWith(`/${method}/`));
  const isRepeated = ([, times]) => times > 1;
  const told = new Set(journal.map(({ path }) => path));
  const succeeded = journal.filter(({ status }) => status === 'success');
  return {
    effects: seen('POST').length,
    effects_repeated: seen('POST').filter(isRepeated).length,
    effects_missing: new Set(
      succeeded.filter(({ path }) => !counts.has(path)).map(({ path }) => path),
    ).size,
    effects_untold: seen('POST').filter(([path]) => !told.has(path)).length,
    reads_repeated: seen('GET').filter(isRepeated).length,
  };
}

/** The writes of runs, by the path that the provider counts them by. */
async function readJournal(database) {
  return await database.ask(
    `select '/POST/' || execution_id || '/' || step_id ||
            case when step_id = 'each' then '/' || iteration else '' end as path, status
       from execution_logs
      where iteration >= 0 and step_id in ('first', 'beside', 'last', 'each', 'only')`,
  );
}

async function countUnknown(database) {
  const [{ steps }] = await database.ask(
    `select count(*)::int as steps from execution_logs
      where iteration >= 0
        and (error->>'code' = 'outcome.unknown' or error->'details'->>'outcome' = 'unknown')`,
  );
  return steps;
}

async function countRepeatedCheckpoints(database) {
  const [{ repeated }] = await database.ask(
    `select count(*)::int as repeated from (
       select from execution_logs where status = 'success'
        group by tenant_id, execution_id, step_id, iteration having count(*) > 1) twice`,
  );
  return repeated;
}

function measureTakeovers({ counted, disturbed }, limitMs) {
  const sorted = counted.toSorted((a, b) => a - b);
  return {
    takeovers: counted.length,
    takeovers_not_counted: disturbed.length,
    takeover_median_s: toSeconds(sorted[sorted.length >> 1] ?? 0),
    takeover_longest_s: toSeconds(sorted.at(-1) ?? 0),
    takeovers_too_slow: counted.filter((ms) => ms > limitMs).length,
  };
}

function isUnfinishedFire({ trigger, finished }) {
  return trigger === 'schedule' && !finished;
}

function toSeconds(ms) {
  return Number((ms / 1_000).toFixed(2));
}

function countBy(names) {
  const counts = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

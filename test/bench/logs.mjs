/**
 * `node test/bench/logs.mjs`: how long lists of attempts and of executions take over HTTP when there are
 * many, spread over several weeks and tenants. Fills a database of its own by SQL, and asks a host of its
 * own. Prints a table of milliseconds; `--json` for machines, `--short` for the tests, `--rows <n>` of the
 * journal (1,000,000), `--weeks <n>` (12).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import pg from 'pg';

import { loadConfig } from '../../dist/config/config.js';
import { startHost } from '../../dist/host.js';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    rows: { type: 'string' },
    weeks: { type: 'string', default: '12' },
  },
});
const ROWS = Number(options.rows ?? (options.short ? 20_000 : 1_000_000));
const WEEKS = Number(options.weeks);
const CALLS = options.short ? 20 : 200;
const STEPS = 4;
/** Of ten; the rest belongs to three others. */
const SHARE_OF_CALLER = 7;
const DAY_MS = 86_400_000;

const home = mkdtempSync(join(tmpdir(), 'stepwell-logs-'));
const host = await startHost(loadConfig({ STEPWELL_HOME: home, PORT: '0', LOG_LEVEL: 'fatal' }));
const key = readFileSync(join(home, 'admin.key'), 'utf8').trim();
const admin = new pg.Client(superuser());

try {
  await admin.connect();
  const filled = await fill();
  const rows = [];
  for (const [name, path] of await requests(filled)) rows.push(await measure(name, path));
  const asMember = { as: await makeMember(), calls: CALLS / 10 };
  // Nothing but row-level security keeps all these rows from a member who has none: no index knows.
  rows.push(await measure('logs, as a member who sees none', '/api/execution-logs', asMember));
  rows.push(await measure('executions, as a member who sees none', '/api/executions', asMember));
  const report = { rows: ROWS, weeks: WEEKS, calls: CALLS, ...filled.took, lists: rows };
  if (options.json) console.log(JSON.stringify(report, null, 2));
  else {
    console.log(`${ROWS} attempts in ${WEEKS} weeks, written in ${filled.took.fill_s} s`);
    console.table(Object.fromEntries(rows.map(({ name, ...row }) => [name, row])));
  }
} finally {
  await admin.end();
  await host.close();
  rmSync(home, { recursive: true, force: true });
}

/** What is asked for, with filters that match much, little, only what is old, and nothing. */
async function requests({ plans, execution }) {
  const at = (daysAgo) => new Date(Date.now() - daysAgo * DAY_MS).toISOString();
  const logs = (query) => `/api/execution-logs?limit=20${query}`;
  const runs = (query) => `/api/executions?limit=20${query}`;
  const old = (WEEKS - 2) * 7;
  return [
    ['logs', logs('')],
    ['logs, 200 a page', '/api/execution-logs?limit=200'],
    ['logs, deep cursor', await deep(logs(''), at(old / 2))],
    ['logs of an execution', logs(`&execution_id=${execution}`)],
    ['logs of a plan', logs(`&plan_id=${plans.common}`)],
    ['logs of a plan, all old', logs(`&plan_id=${plans.old}`)],
    ['logs of a plan, none', logs(`&plan_id=${plans.unused}`)],
    ['logs of a provider', logs('&provider=logic')],
    ['logs of a provider, all old', logs('&provider=slack')],
    ['logs of a provider, none', logs('&provider=stripe')],
    ['logs by status success', logs('&status=success')],
    ['logs by status error', logs('&status=error')],
    ['logs by plan and status, none', logs(`&plan_id=${plans.common}&status=error`)],
    ['logs by provider and status, none', logs('&provider=code&status=error')],
    ['logs by plan and provider, all old', logs(`&plan_id=${plans.common}&provider=slack`)],
    ['logs from a day on', logs(`&from=${at(1)}`)],
    ['logs of an old day', logs(`&from=${at(old)}&to=${at(old - 1)}`)],
    ['logs of an old day, by provider', logs(`&from=${at(old)}&to=${at(old - 1)}&provider=code`)],
    ['logs to come, none', logs(`&from=${at(-1)}`)],
    ['executions', runs('')],
    ['executions of a plan', runs(`&plan_id=${plans.common}`)],
    ['executions of a plan, none', runs(`&plan_id=${plans.unused}`)],
    ['executions by status success', runs('&status=success')],
    ['executions by status error', runs('&status=error')],
    ['executions by status paused, none', runs('&status=paused')],
    ['executions by status queued, none', runs('&status=queued')],
    ['executions by plan and status, none', runs(`&plan_id=${plans.common}&status=error`)],
  ];
}

/** The second page of a list that begins at a time. */
async function deep(path, time) {
  const { next_cursor: cursor } = await get(`${path}&to=${time}`);
  return `${path}&cursor=${cursor}`;
}

async function measure(name, path, { as = key, calls = CALLS } = {}) {
  const times = [];
  let found = 0;
  for (let i = 0; i < calls + 5; i++) {
    const begin = performance.now();
    const { logs, executions } = await get(path, as);
    if (i >= 5) times.push(performance.now() - begin);
    found = (logs ?? executions).length;
  }
  times.sort((a, b) => a - b);
  const quantile = (q) =>
    Number(times[Math.min(times.length - 1, Math.floor(q * times.length))].toFixed(2));
  return { name, found, p50: quantile(0.5), p95: quantile(0.95) };
}

async function get(path, as = key) {
  const response = await fetch(new URL(path, host.url), {
    headers: { 'x-api-key': as },
  });
  if (response.status !== 200) throw new Error(`${path}: ${await response.text()}`);
  return await response.json();
}

async function makeMember() {
  const post = async (path, body) => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(new URL(path, host.url), init);
    if (response.status !== 201) throw new Error(`${path}: ${await response.text()}`);
    return await response.json();
  };
  const { id } = await post('/api/users', { external_id: 'member', role: 'user' });
  return (await post('/api/api-keys', { name: 'bench', user_id: id })).key;
}

async function fill() {
  const begin = performance.now();
  await admin.query(`
    create function bench_id(p_at timestamptz) returns uuid language sql volatile as $$
      select (lpad(to_hex((extract(epoch from p_at) * 1000)::bigint), 12, '0') || '7' || substr(r, 1, 3) || '8'
              || substr(r, 4, 15))::uuid from (select md5(random()::text) as r) as r $$;
    insert into tenants (id, name) select gen_random_uuid(), 'other ' || n from generate_series(1, 3) as n;
    insert into users (tenant_id, id, external_id, name, role)
      select id, gen_random_uuid(), 'u', 'u', 'admin' from tenants where name <> 'default';
    insert into plans (tenant_id, id, owner_id, name, version)
      select u.tenant_id, gen_random_uuid(), u.id, 'plan ' || n, 1
        from (select distinct on (tenant_id) * from users order by tenant_id, id) u
       cross join generate_series(0, 22) as n;
    do $$ begin
      for n in 1..${WEEKS} loop perform make_log_week(log_week_of(now()) - 7 * n); end loop;
    end $$;
  `);
  // One in fifty executions fails at its last step, none of those of plan 1; plan 20 has only runs
  // of the oldest week, plan 21 none; so it is with the provider slack.
  await admin.query(
    `create table bench_runs as
     select p.tenant_id, bench_id(r.at) as id, p.id as plan_id, p.owner_id, r.at, r.n, r.which,
            r.n % 50 = 0 and r.which <> 1 as fails
       from (select n, now() - ((1 - n::float8 / $1) * $2 * interval '7 days') as at, n % 20 as which,
                    case when n % 10 < $3 then 'default' else 'other ' || (n % 10 - $3 + 1) end as tenant
               from generate_series(1, $1::int) as n) r
       join tenants t on t.name = r.tenant
       join plans p on p.tenant_id = t.id
        and p.name = 'plan ' || case when r.n < $1 / 100 and r.which = 0 then 20 else (r.n / 10) % 20 end`,
    [Math.ceil(ROWS / STEPS), WEEKS, SHARE_OF_CALLER],
  );
  await admin.query(
    `update bench_runs b set fails = false from plans p where p.id = b.plan_id and p.name = 'plan 1'`,
  );
  await admin.query(`
    insert into executions (tenant_id, id, plan_id, plan_version, definition, owner_id, visibility, status, trigger,
                            input, output, created_at, started_at, finished_at)
    select tenant_id, id, plan_id, 1, '{"steps":[],"pins":{}}', owner_id, 'private',
           case when fails then 'error' else 'success' end, 'manual', '{}', '{"ok":true}', at, at, at + interval '40 ms'
      from bench_runs;
  `);
  const logsBegin = performance.now();
  await admin.query(
    `insert into execution_logs (tenant_id, id, execution_id, plan_id, owner_id, visibility, step_id, attempt, provider,
                                 action, version, status, input, output, latency_ms, started_at, finished_at)
     select tenant_id, bench_id(at + s * interval '10 ms'), id, plan_id, owner_id, 'private', 's' || s, 1,
            case when n < $1 / 100 and s = 2 then 'slack' else (array['logic', 'logic', 'code', 'http'])[s] end,
            'transform', '1.0.0', case when fails and s = 4 then 'error' else 'success' end,
            jsonb_build_object('value', repeat('x', 150)), jsonb_build_object('n', n), 3, at,
            at + s * interval '10 ms'
       from bench_runs cross join generate_series(1, ${STEPS}) as s`,
    [Math.ceil(ROWS / STEPS)],
  );
  const took = { logs_s: seconds(logsBegin), fill_s: seconds(begin) };
  await admin.query('analyze executions, execution_logs');
  const { rows } = await admin.query(
    `select p.name, p.id from plans p join tenants t on t.id = p.tenant_id where t.name = 'default'`,
  );
  const named = Object.fromEntries(rows.map(({ name, id }) => [name, id]));
  const [one] = (
    await admin.query(`select b.id from bench_runs b join tenants t on t.id = b.tenant_id
    where t.name = 'default' order by b.n offset (select count(*) / 3 from bench_runs) limit 1`)
  ).rows;
  const plans = { common: named['plan 1'], old: named['plan 20'], unused: named['plan 21'] };
  return { plans, execution: one.id, took };
}

function seconds(begin) {
  return Number(((performance.now() - begin) / 1000).toFixed(1));
}

function superuser() {
  const directory = join(home, 'postgres');
  const password = readFileSync(join(directory, 'password'), 'utf8').trim();
  const port = Number(
    readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8').split('\n')[3],
  );
  return { host: '127.0.0.1', port, user: 'postgres', password, database: 'stepwell' };
}

import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/database/embedded-postgres.js';
import { json, startCountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import {
  makeHome,
  removeHome,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

const TOKEN = 'scrape-token-0123456789';
const CANARY = 'canary-of-a-body';
const PAUSE_MS = 10;
/** Longer than any lease. */
const OUTAGE_MS = 15_000;
/** Of a request that is under way when the outage begins, and whose answer comes in the middle of it. */
const ANSWER_MS = 6_000;
/** Some tries to store what was spooled. */
const READ_ONLY_MS = 2_500;

/** A PostgreSQL of its own, which is really killed and really stands still. */
describe('while PostgreSQL is away', () => {
  const key = randomBytes(32).toString('base64');
  let directory: string;
  let server: EmbeddedPostgres;
  let home: string;
  let host: HostProcess;
  let planId: string;
  /** What brings the database back. */
  let bringBack: () => Promise<void> = () => Promise.resolve();

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'stepwell-outage-pg-'));
    server = await startEmbeddedPostgres({ directory, database: 'stepwell' });
    home = makeHome();
  }, 60_000);

  beforeEach(async () => {
    host = await start();
    const steps = [{ provider: 'logic', action: 'transform', params: { template: '${input}' } }];
    planId = (await host.send('POST', '/api/plans', { name: 'p', steps })).body.id;
    // What is known of it: its caller and its plan.
    expect((await execute({ wait: 10 })).body.status).toBe('success');
  }, 60_000);

  afterEach(async () => {
    await bringBack();
    await host.stop();
  }, 60_000);

  afterAll(async () => {
    await removeHome(home);
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = async (spool = 'on', more: Record<string, string> = {}): Promise<HostProcess> =>
    await startHostProcess(home, {
      DATABASE_URL: server.url,
      STEPWELL_ENCRYPTION_KEY: key,
      STEPWELL_SPOOL: spool,
      STEPWELL_METRICS_TOKEN: TOKEN,
      LOG_LEVEL: 'silent',
      ...more,
    });
  const execute = async (body: object = {}, headers: Record<string, string> = {}) =>
    await host.send('POST', `/api/plans/${planId}/execute`, body, headers);
  const metric = async (name: string): Promise<number> => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const text = await (await fetch(new URL('/metrics', host.url), { headers })).text();
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  };
  const query = async <Row extends pg.QueryResultRow>(
    sql: string,
    params: unknown[] = [],
  ): Promise<Row[]> => {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    try {
      return (await client.query<Row>(sql, params)).rows;
    } finally {
      await client.end();
    }
  };
  const postmaster = (): number | null => {
    try {
      const text = readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8');
      // 0: it is not yet written. To a signal that means all of this process group.
      return Number(text.split('\n')[0]) || null;
    } catch {
      return null; // not yet back
    }
  };
  const whenBack = async (): Promise<void> => {
    const answers = (): Promise<boolean> =>
      query('select 1').then(
        () => true,
        () => false,
      );
    await eventually('PostgreSQL', answers, 30_000);
  };
  /** Killed, and killed again as often as it comes back. */
  const takeDown = async (): Promise<void> => {
    const killing = setInterval(() => {
      signal(postmaster(), 'SIGQUIT');
    }, PAUSE_MS);
    bringBack = async () => {
      bringBack = () => Promise.resolve();
      clearInterval(killing);
      await whenBack();
    };
    await eventually('the outage', async () => (await metric('stepwell_database_up')) === 0);
  };
  const freeze = (): Promise<void> => {
    const pid = postmaster() ?? 0;
    const all = [pid, ...childrenOf(pid)];
    for (const one of all) signal(one, 'SIGSTOP');
    bringBack = async () => {
      bringBack = () => Promise.resolve();
      for (const one of all) signal(one, 'SIGCONT');
      await whenBack();
    };
    return Promise.resolve();
  };
  const spooled = (): string[] =>
    readdirSync(join(home, 'spool'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.spool'))
      .map((name) => join(home, 'spool', name));

  it('nobody waits for one that stands still: 503 and Retry-After within seconds, then at once', async () => {
    await freeze();
    const ask = async (path: string): Promise<{ response: Response; tookMs: number }> => {
      const since = performance.now();
      const headers = { 'x-api-key': readFileSync(join(home, 'admin.key'), 'utf8').trim() };
      const response = await fetch(new URL(path, host.url), { headers });
      return { response, tookMs: performance.now() - since };
    };
    // Nor does who asks for its health before anybody knows.
    const early = ['/api/health', '/api/health/ready', '/api/health/live'].map(ask);
    for (const { tookMs } of await Promise.all(early)) expect(tookMs).toBeLessThan(1_000);
    const paths = ['/api/plans', '/api/executions', '/api/providers', '/api/users', '/api/waits'];
    for (const limitMs of [9_000, 1_500]) {
      for (const { response, tookMs } of await Promise.all(paths.map(ask))) {
        expect([response.status, response.headers.get('retry-after')]).toEqual([503, '3']);
        expect(await response.json()).toMatchObject({ code: 'service.unavailable' });
        expect(tookMs).toBeLessThan(limitMs);
      }
    }
    for (const path of ['/api/health', '/api/health/ready']) {
      const { response, tookMs } = await ask(path);
      expect([path, response.status]).toEqual([path, 503]);
      expect(tookMs).toBeLessThan(1_000);
    }
    expect((await ask('/api/health/live')).response.status).toBe(200);
    await bringBack();
    await eventually('an answer', async () => (await execute({ wait: 5 })).status === 200, 10_000);
    expect(await metric('stepwell_database_outages_total')).toBe(1);
    expect(await metric('stepwell_database_away_seconds_total')).toBeGreaterThan(0.5);
  }, 60_000);

  it('accepts executions on disk, and a host that was killed with them stores each once', async () => {
    await takeDown();
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) {
      const { status, body } = await execute({ input: { n, text: CANARY }, wait: n });
      expect([status, body.status, body.plan_id]).toEqual([202, 'queued', planId]);
      ids.push(body.id);
    }
    const keyed = async (): Promise<string> =>
      (await execute({ input: { n: 5 } }, { 'idempotency-key': 'once' })).body.id;
    const twice = [await keyed(), await keyed()];
    expect(twice[1]).toBe(twice[0]);
    ids.push(twice[0]!);
    // Nothing else is told or changed by what is remembered.
    for (const path of ['/api/plans', `/api/plans/${planId}`, `/api/executions/${ids[0]!}`]) {
      expect([path, (await host.send('GET', path)).status]).toEqual([path, 503]);
    }
    const stranger = await fetch(new URL(`/api/plans/${planId}/execute`, host.url), {
      method: 'POST',
      headers: { 'x-api-key': 'sw_nobody', 'content-type': 'application/json' },
      body: '{}',
    });
    expect(stranger.status).toBe(503);
    expect(await metric('stepwell_spool_records')).toBe(6);
    const [path = '', ...more] = spooled();
    expect(more).toEqual([]);
    expect(readFileSync(path).includes(CANARY)).toBe(false);

    await host.stop('SIGKILL');
    appendFileSync(path, Buffer.from([0, 0, 1, 0, 9, 9, 9])); // a write that the end cut short
    await bringBack();
    host = await start('off');
    await eventually('the end of all', async () => {
      const ended = await query('select from executions where id = any ($1) and status = $2', [
        ids,
        'success',
      ]);
      return ended.length === ids.length;
    });
    expect(await metric('stepwell_spool_records')).toBe(0);
    expect(await metric('stepwell_spool_set_aside_total')).toBe(0);
    expect(spooled()).toEqual([]);
  }, 90_000);

  it('sets aside what may not begin any more, and stores what comes after it', async () => {
    await takeDown();
    const doomed = (await execute({ input: { text: CANARY } })).body.id as string;
    await host.stop('SIGKILL');
    await bringBack();
    await query('update plans set deleted_at = now() where id = $1', [planId]);
    host = await start();
    await eventually('it', async () => (await metric('stepwell_spool_set_aside_total')) === 1);
    expect(await query('select from executions where id = $1', [doomed])).toEqual([]);
    expect(spooled().map((path) => path.includes(`set-aside/${doomed}`))).toEqual([true]);
    expect(readFileSync(spooled()[0]!).includes(CANARY)).toBe(false);
    rmSync(join(home, 'spool'), { recursive: true });
  }, 90_000);

  it('runs nothing twice for a key that the database knows: the id given out names the first', async () => {
    const first = (await execute({}, { 'idempotency-key': 'a' })).body.id as string;
    // As if another host had been sent it.
    await query(`update executions set idempotency_key = 'b' where id = $1`, [first]);
    await takeDown();
    const { status, body } = await execute({}, { 'idempotency-key': 'b' });
    expect(status).toBe(202);
    expect(body.id).not.toBe(first);
    await bringBack();
    await eventually('its end', async () => {
      const { body: seen } = await host.send('GET', `/api/executions/${String(body.id)}`);
      return seen.status === 'cancelled' && seen.origin_id === first;
    });
  }, 60_000);

  it('stores what was accepted also when the database comes back and can only be read at first', async () => {
    await takeDown();
    const { status, body } = await execute();
    expect(status).toBe(202);
    const settings = join(directory, 'data', 'postgresql.auto.conf');
    const before = readFileSync(settings, 'utf8');
    writeFileSync(settings, `${before}\ndefault_transaction_read_only = on\n`);
    await bringBack();
    try {
      // Neither is what is asked of it answered with a fault of ours.
      const answers = await Promise.all([
        host.send('POST', '/api/plans', { name: 'q', steps: [] }),
        host.send('GET', '/api/plans'),
        host.send('GET', '/api/health/ready'),
      ]);
      expect(answers.map((answer) => answer.status)).toEqual([503, 503, 503]);
      await new Promise((resolve) => setTimeout(resolve, READ_ONLY_MS));
      expect(await metric('stepwell_spool_set_aside_total')).toBe(0);
    } finally {
      writeFileSync(settings, before);
      await query('select pg_reload_conf()');
    }
    await eventually('its end', async () => {
      const { body: seen } = await host.send('GET', `/api/executions/${String(body.id)}`);
      return seen.status === 'success';
    });
  }, 60_000);

  it.each([
    ['stands still', freeze],
    ['is killed again and again', takeDown],
  ])(
    'executions go on that were under way when it %s for 15 seconds, and nothing is sent twice',
    async (_, strike) => {
      const provider = await startCountingServer(async (seen, response) => {
        if (seen.url.endsWith('/during')) await new Promise((done) => setTimeout(done, ANSWER_MS));
        json(response, 200, { ok: true });
      });
      try {
        const write = (id: string, more: object = {}) => ({
          ...{ id, provider: 'http', action: 'request' },
          params: { method: 'POST', url: `${provider.url}/\${input.n}/${id}`, body: {} },
          ...more,
        });
        const steps = [
          write('before'),
          write('during', { depends_on: ['before'] }),
          { id: 'rest', provider: 'wait', action: 'delay', params: { seconds: 1 } },
          write('after', { depends_on: ['during', 'rest'] }),
        ];
        await host.stop();
        host = await start('on', { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}` });
        const made = await host.send('POST', '/api/plans', { name: 'slow', steps });
        const path = `/api/plans/${String(made.body.id)}/execute`;
        const begun = await Promise.all(
          [1, 2, 3].map((n) => host.send('POST', path, { input: { n } })),
        );
        await eventually('the requests', () => provider.seen.length === 2 * begun.length);
        await strike();
        await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
        expect(provider.seen).toHaveLength(2 * begun.length);
        await bringBack();
        for (const { body } of begun) {
          await eventually('its end', async () => {
            const { body: seen } = await host.send('GET', `/api/executions/${String(body.id)}`);
            return seen.status === 'success';
          });
        }
        const urls = provider.seen.map(({ url }) => url);
        expect([urls.length, new Set(urls).size]).toEqual([9, 9]);
      } finally {
        await provider.close();
      }
    },
    90_000,
  );

  it('restarted again and again under load, keeps each execution that it accepted', async () => {
    const ids: string[] = [];
    const wrong: unknown[] = [];
    let isOn = true;
    const client = async (): Promise<void> => {
      while (isOn) {
        const { status, body } = await execute({ wait: 0 });
        if (status === 200 || status === 202) ids.push(body.id);
        else if (status !== 503) wrong.push([status, body]);
        await new Promise((resolve) => setTimeout(resolve, 20)); // a client, not a flood
      }
    };
    const clients = Promise.all(Array.from({ length: 4 }, client));
    for (const how of ['SIGQUIT', 'SIGKILL', 'SIGINT'] as const) {
      const before = postmaster();
      signal(before, how);
      await eventually('another', () => ![null, before].includes(postmaster()), 20_000);
      await whenBack();
    }
    isOn = false;
    await clients;
    expect(wrong).toEqual([]);
    expect(ids.length).toBeGreaterThan(20);
    await eventually(
      'the end of all',
      async () => {
        const done = await query(
          `select id from executions where id = any ($1) and status = 'success'`,
          [ids],
        );
        return done.length === ids.length;
      },
      40_000,
    );
    const [twice] = await query<{ steps: number }>(
      `select count(*)::int as steps from (
         select from execution_logs where status = 'success' group by execution_id, step_id having count(*) > 1) d`,
    );
    expect(twice?.steps).toBe(0);
  }, 120_000);
});

function signal(pid: number | null, name: NodeJS.Signals): void {
  if (pid === null) return;
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8')
    .trim()
    .split(' ')
    .map(Number);
}

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/database/embedded-postgres.js';
import { findPostgresBinaries } from '../../src/database/postgres-binaries.js';
import { startCountingServer, json, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import {
  failToStart,
  makeHome,
  removeHome,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

/** On PostgreSQL 15, the oldest that we promise, as a role that is no superuser. */
describe("an operator's own PostgreSQL", () => {
  let directory: string;
  let server: EmbeddedPostgres;
  let databaseUrl: string;
  let provider: CountingServer;
  const key = randomBytes(32).toString('base64');
  const homes: string[] = [];
  const hosts: HostProcess[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'stepwell-own-pg-'));
    server = await startEmbeddedPostgres({
      directory,
      database: 'postgres',
      binaries: await findPostgresBinaries('pg15'),
      settings: ['fsync=off'],
    });
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query(`create role operator login createrole password 'p@ss word'`);
    await admin.query('create database automation owner operator');
    await admin.end();
    const url = new URL(server.url);
    url.username = 'operator';
    url.password = 'p@ss word';
    url.pathname = '/automation';
    databaseUrl = url.href;
    provider = await startCountingServer((_, response) => {
      json(response, 200, {});
    });
  });

  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.stop();
    for (const home of homes.splice(0)) await removeHome(home);
  });

  afterAll(async () => {
    await provider.close();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const home = (): string => {
    const path = makeHome();
    homes.push(path);
    return path;
  };
  const env = (more: Record<string, string> = {}): Record<string, string> => ({
    DATABASE_URL: databaseUrl,
    STEPWELL_ENCRYPTION_KEY: key,
    STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}`,
    ...more,
  });
  const start = async (path: string): Promise<HostProcess> => {
    const host = await startHostProcess(path, env());
    hosts.push(host);
    return host;
  };

  it('carries several hosts, and the living take over from the dead within seconds', async () => {
    const path = home();
    const first = await start(path);
    expect((await first.send('GET', '/api/health')).body.status).toBe('healthy');
    // The second host shares the first one's key file, as an operator would hand it over.
    const second = await start(path);
    const hold = {
      provider: 'code',
      action: 'javascript',
      params: { source: 'await new Promise((r) => setTimeout(r, 8000)); return 1' },
    };
    const read = {
      provider: 'http',
      action: 'request',
      params: { method: 'GET', url: `${provider.url}/read` },
    };
    const started = await first.send('POST', '/api/execute-plan', {
      plan: {
        steps: [
          { id: 'read', ...read },
          { id: 'wait', ...hold, on_error: 'continue' },
          { id: 'last', ...read },
        ],
      },
      wait: 0,
    });
    await eventually('the first step', async () => {
      const { body } = await second.send('GET', `/api/executions/${String(started.body.id)}`);
      return body.steps[0].status === 'success' && body.steps[1].status === 'running';
    });
    await first.stop('SIGKILL');
    const died = performance.now();
    const done = await eventually('the takeover', async () => {
      const { body } = await second.send('GET', `/api/executions/${String(started.body.id)}`);
      return body.status !== 'running' && body;
    });
    expect(performance.now() - died).toBeLessThan(9_000);
    expect(done).toMatchObject({ status: 'success' });
    expect(done.steps.map((step: { status: string }) => step.status)).toEqual([
      'success',
      'error',
      'success',
    ]);
    expect(done.steps[1].result.error.code).toBe('outcome.unknown');
    expect(provider.count('/read')).toBe(2);
  });

  it.each([
    [
      'a wrong password',
      { password: 'wrong' },
      /the password of operator at 127\.0\.0\.1:\d+ is wrong/,
    ],
    [
      'a database that is not there',
      { pathname: '/nope' },
      /the database nope does not exist at .*; create it first/,
    ],
    [
      'a host that is not known',
      { hostname: 'no-such-host.invalid' },
      /the host no-such-host\.invalid is not known/,
    ],
  ])('is refused in one line for %s', async (_, change, reason) => {
    const url = Object.assign(new URL(databaseUrl), change);
    const refused = await failToStart(home(), env({ DATABASE_URL: url.href }));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(reason);
    expect(refused.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('is refused with another key, also for another database of the same server', async () => {
    const host = await start(home());
    await host.stop();
    const other = randomBytes(32).toString('base64');
    const sameDatabase = await failToStart(home(), env({ STEPWELL_ENCRYPTION_KEY: other }));
    expect(sameDatabase.stderr).toMatch(
      /the encryption key is not the one that this database was made with/,
    );

    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query('create database second owner operator');
    await admin.end();
    const url = Object.assign(new URL(databaseUrl), { pathname: '/second' });
    const sameRoles = await failToStart(
      home(),
      env({ DATABASE_URL: url.href, STEPWELL_ENCRYPTION_KEY: other }),
    );
    expect(sameRoles.stderr).toMatch(
      /the role stepwell_app of this PostgreSQL was made with another encryption key/,
    );
    expect(sameRoles.stderr.trim().split('\n')).toHaveLength(1);
  });
});

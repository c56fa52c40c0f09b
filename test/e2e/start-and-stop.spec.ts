import { statSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { eventually } from '../support/eventually.js';
import {
  beginHost,
  failToStart,
  isRunning,
  makeHome,
  postmasterPid,
  removeHome,
  ROOT,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

describe('a host', () => {
  const homes: string[] = [];
  const hosts: HostProcess[] = [];

  const home = (name?: string): string => {
    const path = makeHome(name);
    homes.push(path);
    return path;
  };
  const start = async (...args: Parameters<typeof startHostProcess>): Promise<HostProcess> => {
    const host = await startHostProcess(...args);
    hosts.push(host);
    return host;
  };

  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.stop();
    for (const path of homes.splice(0)) await removeHome(path);
  });

  it('starts on nothing, in a path with spaces, shows its key once, and stops everything', async () => {
    const path = home('my home');
    const first = await start(path);
    expect(await (await fetch(`${first.url}/api/health`)).json()).toMatchObject({
      status: 'healthy',
      scheduler: 'active',
    });
    const key = readFileSync(join(path, 'admin.key'), 'utf8').trim();
    expect(first.stdout()).toContain(key);
    expect(statSync(join(path, 'admin.key')).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, 'root.key')).mode & 0o777).toBe(0o600);
    expect(first.stderr()).toBe('');
    const postgres = postmasterPid(path) ?? 0;
    expect(isRunning(postgres)).toBe(true);

    expect(await first.stop('SIGINT')).toBe(0);
    expect(isRunning(postgres)).toBe(false);
    expect(existsSync(join(path, 'host.json'))).toBe(false);

    const second = await start(path);
    expect(second.stdout()).not.toContain(key);
    expect((await second.send('GET', '/api/providers')).body.providers).toEqual([
      'code',
      'http',
      'logic',
      'openai',
      'plan',
      'slack',
      'wait',
      'webhook',
    ]);
  });

  it('stops although somebody holds a connection on which nothing was ever sent', async () => {
    const host = await start(home());
    const { hostname, port } = new URL(host.url);
    const silent = connect(Number(port), hostname).on('error', () => undefined);
    await once(silent, 'connect');
    const begin = performance.now();
    expect(await host.stop('SIGTERM')).toBe(0);
    expect(performance.now() - begin).toBeLessThan(10_000);
    silent.destroy();
  });

  it('stops with npm, which stands between it and whoever sends the signal', async () => {
    const path = home();
    const npm = spawn('npm', ['start', '--ignore-scripts'], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], STEPWELL_HOME: path, PORT: '0' },
      stdio: 'ignore',
    });
    const hasEnded = (): boolean => npm.exitCode !== null || npm.signalCode !== null;
    let pid = 0;
    let postgres = 0;
    try {
      await eventually('the host being ready', () => existsSync(join(path, 'host.json')), 60_000);
      postgres = postmasterPid(path) ?? 0;
      ({ pid } = JSON.parse(readFileSync(join(path, 'host.json'), 'utf8')) as { pid: number });
    } finally {
      npm.kill('SIGTERM');
      await eventually('the end of npm', hasEnded, 30_000);
    }
    expect([isRunning(pid), isRunning(postgres)]).toEqual([false, false]);
  });

  it.each(['postgres/data/postmaster.pid', 'admin.key'])(
    'stops everything when it is told to while it comes up (%s)',
    async (milestone) => {
      const path = home();
      const host = beginHost(path);
      await eventually(milestone, () => existsSync(join(path, milestone)), 60_000);
      const postgres = postmasterPid(path) ?? 0;
      host.child.kill('SIGINT');
      await eventually('the end of the host', () => host.child.exitCode !== null, 30_000);
      expect(isRunning(postgres)).toBe(false);
      expect(existsSync(join(path, 'host.json'))).toBe(false);
    },
  );

  it('leaves the key where the next start finds it, wherever the first was cut off', async () => {
    const path = home();
    const host = beginHost(path);
    await eventually('the key', () => existsSync(join(path, 'admin.key')), 60_000);
    host.child.kill('SIGKILL');
    await eventually('the end of the host', () => host.child.signalCode !== null);
    const second = await start(path);
    expect((await second.send('GET', '/api/plans')).status).toBe(200);
  });

  it('comes back after kill -9, with the database that was left running', async () => {
    const path = home();
    const first = await start(path);
    const plan = await first.send('POST', '/api/plans', {
      name: 'kept',
      steps: [{ provider: 'logic', action: 'transform', params: { template: 'x' } }],
    });
    expect(plan.status).toBe(201);
    const postgres = postmasterPid(path) ?? 0;
    await first.stop('SIGKILL');
    expect(isRunning(postgres)).toBe(true);

    const second = await start(path);
    expect(postmasterPid(path)).toBe(postgres);
    expect((await second.send('GET', `/api/plans/${String(plan.body.id)}`)).body.name).toBe('kept');
    await second.stop();
    expect(isRunning(postgres)).toBe(false);
  });

  it('comes back after host and database were killed', async () => {
    const path = home();
    const first = await start(path);
    process.kill(postmasterPid(path) ?? 0, 'SIGKILL');
    await first.stop('SIGKILL');
    const second = await start(path);
    expect((await second.send('GET', '/api/plans')).status).toBe(200);
  });

  it('refuses a home that another host holds', async () => {
    const path = home();
    const first = await start(path);
    const second = await failToStart(path);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toMatch(
      /^stepwell: another Stepwell host \(pid \d+, http.*\) runs on .*\n$/,
    );
    expect((await first.send('GET', '/api/plans')).status).toBe(200);
  });

  it('refuses a port that is taken, before it starts anything', async () => {
    const path = home();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    const refused = await failToStart(path, { PORT: String(port) });
    taken.close();
    expect(refused.code).toBe(1);
    expect(refused.stderr).toBe(
      `stepwell: 127.0.0.1:${String(port)} is taken by another program; set PORT to a free one, or stop that program\n`,
    );
    expect(postmasterPid(path)).toBeNull();
  });

  it.each([
    [{ PORT: 'http' }, /PORT must be a port number/],
    [{ STEPWELL_ENCRYPTION_KEY: 'short' }, /STEPWELL_ENCRYPTION_KEY must be 32 bytes/],
    [{ DATABASE_URL: 'mysql://x' }, /DATABASE_URL must be a postgres:\/\/ URL/],
    [{ DATABASE_URL: 'postgres://u:p@127.0.0.1:1/d' }, /needs STEPWELL_ENCRYPTION_KEY/],
    [
      {
        DATABASE_URL: 'postgres://u:p@127.0.0.1:1/d',
        STEPWELL_ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
      },
      /nothing listens at 127\.0\.0\.1:1; is PostgreSQL running there\?/,
    ],
    [{ STEPWELL_TRUSTED_PROXIES: 'nonsense' }, /STEPWELL_TRUSTED_PROXIES must be IP addresses/],
    [{ STEPWELL_HOME: join(ROOT, 'package.json') }, /the home .*package\.json can't be used/],
    [{ STEPWELL_EGRESS_ALLOW: '127.0.0.1:http' }, /STEPWELL_EGRESS_ALLOW.*127\.0\.0\.1:http/],
  ])('refuses %j in one line', async (env, reason) => {
    const refused = await failToStart(home(), env);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(reason);
    expect(refused.stderr.trim().split('\n')).toHaveLength(1);
  });

  it('refuses a missing and a wrong key, and a database that is newer, and says so', async () => {
    const path = home();
    const host = await start(path);
    const rootKey = readFileSync(join(path, 'root.key'), 'utf8');
    const password = readFileSync(join(path, 'postgres', 'password'), 'utf8').trim();
    const port = readFileSync(join(path, 'postgres', 'data', 'postmaster.pid'), 'utf8').split(
      '\n',
    )[3];
    const admin = new pg.Client(`postgres://postgres:${password}@127.0.0.1:${port ?? ''}/stepwell`);
    await admin.connect();
    await admin.query(
      `insert into migrations ("timestamp", name) values (9999999999999, 'future9999999999999')`,
    );
    await admin.end();
    await host.stop();

    const newer = await failToStart(path);
    expect(newer.stderr).toMatch(
      /^stepwell: the database is newer than this code \(it has future9999999999999\)/,
    );

    rmSync(join(path, 'root.key'));
    const missing = await failToStart(path);
    expect(missing.stderr).toMatch(
      /^stepwell: the encryption key .*root\.key is missing; restore it/,
    );

    writeFileSync(join(path, 'root.key'), Buffer.alloc(32, 1).toString('base64'));
    const wrong = await failToStart(path);
    expect(wrong.stderr).toMatch(
      /^stepwell: the encryption key is not the one that this database was made with/,
    );
    for (const refused of [newer, missing, wrong]) {
      expect(refused.code).toBe(1);
      expect(refused.stderr.trim().split('\n')).toHaveLength(1);
    }
    expect(postmasterPid(path)).toBeNull();
    expect(rootKey).not.toBe('');
  });
});

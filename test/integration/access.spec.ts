import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { startTestHost, type TestHost } from '../support/test-host.js';

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Nobody needs a key for these; api.md promises no others. */
const PUBLIC = ['/api/health', '/api/health/live', '/api/health/ready'];

const STEPS = [{ provider: 'logic', action: 'transform', params: { template: 'x' } }];

/** A body that each route with one takes, so that only access decides. */
const BODIES: Record<string, unknown> = {
  'PUT /api/plans/:id': { name: 'taken over' },
  'POST /api/plans/:id/execute': {},
  'POST /api/executions/:id/cancel': {},
  'PUT /api/plugins/:id': { enabled: true },
};

describe('access', () => {
  let host: TestHost;
  let keyB: string;
  let planA: string;
  let executionA: string;

  beforeAll(async () => {
    host = await startTestHost();
    keyB = (await host.createTenant('b')).api_key;
    const plan = await host.send({
      method: 'POST',
      path: '/api/plans',
      body: { name: 'a', visibility: 'tenant', steps: STEPS },
    });
    planA = plan.body.id as string;
    const run = await host.send({
      method: 'POST',
      path: `/api/plans/${planA}/execute`,
      body: { wait: 10 },
    });
    executionA = run.body.id as string;
    expect(run.status).toBe(200);
  });

  afterAll(async () => {
    await host.close();
  });

  it('is asked of every route but the public ones', async () => {
    const guarded = host.routes.filter(({ path }) => !PUBLIC.includes(path));
    expect(guarded.length).toBeGreaterThan(20);
    for (const { method, path } of guarded) {
      const request = { method: method as Method, path: fill(path), ...body(method, path) };
      const nobody = await host.send({ ...request, key: null });
      expect([method, path, nobody.status, nobody.body.code]).toEqual([
        method,
        path,
        401,
        'auth.required',
      ]);
      const stranger = await host.send({ ...request, key: 'sw_wrong' });
      expect([method, path, stranger.status, stranger.body.code]).toEqual([
        method,
        path,
        401,
        'auth.invalid',
      ]);
    }
    for (const path of PUBLIC) expect((await host.send({ path, key: null })).status).toBe(200);
  });

  it("answers another tenant's ids like missing ones, on every route that takes an id", async () => {
    const withId = host.routes.filter(({ path }) =>
      /\/(plans|execution-plans|workflows|executions)\/:id/.test(path),
    );
    expect(withId.length).toBeGreaterThan(15);
    for (const { method, path } of withId) {
      const request = { method: method as Method, key: keyB, ...body(method, path) };
      const foreign = await host.send({ ...request, path: fill(path) });
      const missing = await host.send({
        ...request,
        path: fill(path, '01900000-0000-7000-8000-000000000000'),
      });
      expect([method, path, foreign.status]).toEqual([method, path, 404]);
      const shape = ({ detail, request_id, ...rest }: Record<string, unknown>): unknown => rest; // eslint-disable-line @typescript-eslint/no-unused-vars -- the two that differ by nature
      expect(shape(foreign.body)).toEqual(shape(missing.body));
    }
    // The plan is there, and untouched.
    expect((await host.send({ path: `/api/plans/${planA}` })).body.name).toBe('a');
    for (const path of ['/api/execute', '/api/execute-plan']) {
      const answer = await host.send({ method: 'POST', path, key: keyB, body: { plan_id: planA } });
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });

  it('shows tenant B lists without anything of A', async () => {
    for (const [path, list] of [
      ['/api/plans', 'plans'],
      ['/api/executions', 'executions'],
      ['/api/execution-logs', 'logs'],
    ] as const) {
      expect((await host.send({ path })).body[list].length).toBeGreaterThan(0);
      expect((await host.send({ path, key: keyB })).body[list]).toEqual([]);
      expect(
        (await host.send({ path: `${path}?plan_id=${planA}`, key: keyB })).body[list] ?? [],
      ).toEqual([]);
    }
  });

  it('keeps tenants from managing tenants', async () => {
    const answer = await host.send({
      method: 'POST',
      path: '/api/admin/tenants',
      key: keyB,
      body: { name: 'c' },
    });
    expect(answer).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
  });

  it('lets a viewer read and nothing else, and hides private things from other members', async () => {
    const viewer = await addUser('viewer');
    const member = await addUser('user');
    expect((await host.send({ path: `/api/plans/${planA}`, key: viewer })).status).toBe(200);
    for (const [method, path] of [
      ['POST', '/api/plans'],
      ['PUT', `/api/plans/${planA}`],
      ['DELETE', `/api/plans/${planA}`],
      ['POST', `/api/plans/${planA}/execute`],
      ['POST', '/api/execute-step'],
    ] as const) {
      const answer = await host.send({
        method,
        path,
        key: viewer,
        body: method === 'DELETE' ? undefined : {},
      });
      expect([method, path, answer.status]).toEqual([method, path, 403]);
    }
    const mine = await host.send({
      method: 'POST',
      path: '/api/plans',
      key: member,
      body: { name: 'mine', steps: STEPS },
    });
    const path = `/api/plans/${String(mine.body.id)}`;
    expect((await host.send({ path, key: viewer })).status).toBe(404);
    expect((await host.send({ path })).status).toBe(200); // the tenant's admin
    // A shared plan is run by members, and changed by its owner and admins only.
    expect(
      (
        await host.send({
          method: 'PUT',
          path: `/api/plans/${planA}`,
          key: member,
          body: { name: 'x' },
        })
      ).status,
    ).toBe(403);
    expect(
      (await host.send({ method: 'DELETE', path: `/api/plans/${planA}`, key: member })).status,
    ).toBe(403);
    const run = await host.send({
      method: 'POST',
      path: `/api/plans/${planA}/execute`,
      key: member,
      body: { wait: 10 },
    });
    expect(run.body.status).toBe('success');
  });

  it('ends with a revoked or expired key at once', async () => {
    const key = await addUser('user');
    expect((await host.send({ path: '/api/plans', key })).status).toBe(200);
    await asAdmin(
      `update api_keys set revoked_at = now() where key_hash = encode(sha256($1::bytea), 'hex')`,
      [key],
    );
    expect((await host.send({ path: '/api/plans', key })).status).toBe(401);
  });

  it('takes a key in the Authorization header, too', async () => {
    const headers = { authorization: `ApiKey ${host.operatorKey}` };
    expect((await host.send({ path: '/api/plans', key: null, headers })).status).toBe(200);
  });

  it('ignores nothing that looks like a tenant in the body: it refuses it by name', async () => {
    const answer = await host.send({
      method: 'POST',
      path: '/api/plans',
      body: { name: 'x', steps: STEPS, tenant_id: planA, owner_id: planA },
    });
    expect(answer.status).toBe(400);
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual([
      '/owner_id',
      '/tenant_id',
    ]);
  });

  function fill(path: string, id?: string): string {
    return path
      .replace(':id', id ?? (path.includes('/executions/') ? executionA : planA))
      .replace(/:\w+/g, 'x');
  }

  function body(method: string, path: string): { body?: unknown } {
    if (method === 'GET' || method === 'DELETE') return {};
    const known = path.replace(/^\/api\/(execution-plans|workflows)/, '/api/plans');
    return { body: BODIES[`${method} ${known}`] ?? {} };
  }

  async function addUser(role: string): Promise<string> {
    const key = `sw_test_${role}_${String(Math.random())}`;
    await asAdmin(
      `with u as (
         insert into users (tenant_id, id, external_id, name, role)
         select id, gen_random_uuid(), gen_random_uuid()::text, 'x', $1 from tenants where name = 'default'
         returning tenant_id, id)
       insert into api_keys (tenant_id, id, user_id, name, prefix, key_hash)
       select tenant_id, gen_random_uuid(), id, 'k', 'sw_', encode(sha256($2::bytea), 'hex') from u`,
      [role, key],
    );
    return key;
  }

  async function asAdmin(sql: string, params: unknown[]): Promise<void> {
    const admin = new pg.Client({ connectionString: host.database.adminUrl });
    await admin.connect();
    await admin.query(sql, params);
    await admin.end();
  }
});

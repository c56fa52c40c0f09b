import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { Permission } from '../../src/common/ctx.js';
import { asSuperuser } from '../support/as-superuser.js';
import { eventually } from '../support/eventually.js';
import { listRoutes, type Route } from '../support/route-table.js';
import { storePlugin } from '../support/stored-plugin.js';
import { cloneDatabase } from '../support/test-database.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Nobody needs a key for these; docs/api.md promises no others. */
const PUBLIC = [
  ...['/api/health', '/api/health/live', '/api/health/ready', '/api/waits/:token'],
  ...['/api/webhook/*', '/api/webhook/*', '/api/webhook/*'], // GET, POST, PUT
];

/** What docs/access.md promises of each role; written out, so that nothing proves itself. */
const VIEWER: Permission[] = ['plan.read', 'credential.read', 'plugin.read'];
const USER: Permission[] = [
  ...VIEWER,
  'plan.write',
  'plan.delete',
  'plan.execute',
  'schedule.write',
  'credential.write',
];
const ADMIN: Permission[] = [...USER, 'plugin.manage', 'user.manage', 'audit.read'];
const OPERATOR: Permission[] = [...ADMIN, 'tenant.manage'];

/** Parameters that name what belongs to the installation, or to the caller's own tenant by a name. */
const NAMES_OF_NO_TENANT = [
  /^\/api\/providers\/:name/,
  /^\/api\/plugins\/:id/,
  /^\/api\/provider-credentials\/:provider$/,
  /^\/api\/limits\/:kind\/:subject$/,
];

const MISSING = '01900000-0000-7000-8000-000000000000';
const STEPS = [{ provider: 'logic', action: 'transform', params: { template: 'x' } }];

/** How a request shows whose it is. */
type Proof = Pick<Parameters<TestHost['send']>[0], 'key' | 'headers'>;

interface Actor {
  name: string;
  holds: Permission[];
  /** A new one for each request: one of the routes ends the session that it is called with. */
  prove(): Promise<Proof>;
}

describe('access', () => {
  let host: TestHost;
  let routes: Route[];
  let keyA: string;
  let keyB: string;
  let userA: Member;
  let viewerA: Member;
  let restrictedA: Member;
  let planA: string;
  let executionA: string;
  let credentialA: string;
  let waitingA: string;
  let actors: Actor[];

  beforeAll(async () => {
    const database = await cloneDatabase();
    await storePlugin(database, {
      id: 'acme',
      credentials: [
        {
          id: 'api',
          kind: 'api_key',
          fields: [{ name: 'api_key', secret: true, required: true }],
          hosts: ['api.acme.example'],
          inject: { headers: { 'x-api-key': '{{secret.api_key}}' } },
        },
      ],
    });
    host = await startTestHost({ database });
    routes = listRoutes(host);
    keyA = (await host.createTenant('a')).api_key;
    keyB = (await host.createTenant('b')).api_key;
    userA = await host.createUser({ adminKey: keyA, role: 'user' });
    viewerA = await host.createUser({ adminKey: keyA, role: 'viewer' });
    const admin = { adminKey: keyA, role: 'admin' as const };
    const adminA = await host.createUser(admin);
    restrictedA = await host.createUser({ ...admin, permissions: ['plan.read'] });
    const plan = { name: 'a', visibility: 'tenant', steps: STEPS };
    planA = await idOf('POST', '/api/plans', { body: plan });
    executionA = await idOf('POST', `/api/plans/${planA}/execute`, { body: { wait: 10 } });
    credentialA = await idOf('POST', '/api/provider-credentials/acme', {
      body: { credentials: { api_key: 'sk-0123456789' }, scope: 'tenant' },
    });
    waitingA = await idOf('POST', '/api/execute', {
      body: { plan: { steps: [{ provider: 'wait', action: 'callback' }] }, wait: 0 },
    });
    await eventually('the wait', async () => {
      const { body } = await host.send({ path: '/api/waits', key: keyA });
      return body.waits.length === 1;
    });
    await host.send({
      method: 'POST',
      path: `/api/plans/${planA}/schedule`,
      key: keyA,
      body: { cron: '0 0 1 1 *' },
    });
    actors = [
      { name: 'viewer', holds: VIEWER, prove: byKey(viewerA.key) },
      { name: 'user', holds: USER, prove: byKey(userA.key) },
      { name: 'admin', holds: ADMIN, prove: byKey(adminA.key) },
      { name: 'operator', holds: OPERATOR, prove: byKey(host.operatorKey) },
      { name: 'restricted key of an admin', holds: ['plan.read'], prove: byKey(restrictedA.key) },
      { name: 'session of a viewer', holds: VIEWER, prove: bySession(viewerA.key) },
      { name: 'session of an admin', holds: ADMIN, prove: bySession(adminA.key) },
      {
        name: 'session of a restricted key',
        holds: ['plan.read'],
        prove: bySession(restrictedA.key),
      },
      { name: 'cookie of a user', holds: USER, prove: byCookie(userA.key, 'http://localhost') },
    ];
  });

  afterAll(async () => {
    await host.close();
    await host.database.drop();
  });

  describe('of every route that the host serves', () => {
    it('is said by its handler', () => {
      expect(routes.length).toBeGreaterThan(40);
      expect(routes.filter(({ access }) => access === null)).toEqual([]);
      const open = routes.filter(({ access }) => access && 'public' in access);
      expect(open.map(({ path }) => path).sort()).toEqual(PUBLIC);
      expect(new Set(routes.map(({ method }) => method))).toEqual(
        new Set(['GET', 'POST', 'PUT', 'DELETE']),
      );
    });

    it('asks for what its path and method are about', () => {
      const asked = routes.map(({ method, path, access }) => ({
        method,
        path,
        permission: access && 'permission' in access ? access.permission : null,
      }));
      for (const [prefix, permission] of [
        ['/api/admin/', 'tenant.manage'],
        ['/api/users', 'user.manage'],
        ['/api/api-keys', 'user.manage'],
        ['/api/audit-log', 'audit.read'],
      ] as const) {
        const found = asked.filter(({ path }) => path.startsWith(prefix));
        expect([prefix, [...new Set(found.map((one) => one.permission))]]).toEqual([
          prefix,
          [permission],
        ]);
      }
      const writing = asked.filter(({ method, path }) => method !== 'GET' && !isFreeForm(path));
      expect(
        writing.filter(
          ({ path, permission }) =>
            (permission === null && !path.startsWith('/api/auth/') && !PUBLIC.includes(path)) ||
            permission?.endsWith('.read'),
        ),
      ).toEqual([]);
    });

    it('is refused to nobody and to strangers', async () => {
      const wrong: unknown[] = [];
      for (const route of routes.filter(({ path }) => !PUBLIC.includes(path))) {
        for (const [proof, code] of [
          [{ key: null }, 'auth.required'],
          [{ key: 'sw_wrong' }, 'auth.invalid'],
          [{ key: null, headers: { authorization: 'Bearer x.y.z' } }, 'auth.invalid'],
          [{ key: null, headers: { cookie: 'token=x.y.z' } }, 'auth.invalid'],
        ] as const) {
          const answer = await call(route, proof);
          if (answer.status !== 401 || answer.body.code !== code) wrong.push(told(route, answer));
        }
      }
      expect(wrong).toEqual([]);
      for (const route of routes.filter(({ path }) => PUBLIC.includes(path))) {
        // Who has no token of a wait, or no path of a webhook, is told that there is none.
        const status = /\/(:token|\*)$/.test(route.path) ? 404 : 200;
        const answer = await call(route, { key: null });
        expect([route.path, answer.status]).toEqual([route.path, status]);
      }
    });

    // Ids that aren't there and empty bodies: access is decided before anything else is looked at,
    // so who is let in gets 400 or 404.
    it('follows the permissions of each role, restricted key and session', async () => {
      const wrong: unknown[] = [];
      for (const actor of actors) {
        for (const route of routes) {
          const answer = await call(route, await actor.prove());
          const isFine = isOpenTo(route, actor)
            ? ![401, 403, 500].includes(answer.status)
            : answer.status === 403 && answer.body.code === 'auth.forbidden';
          if (!isFine) wrong.push([actor.name, ...told(route, answer)]);
        }
      }
      expect(wrong).toEqual([]);
      // Or it would prove nothing: each of them is let in somewhere and turned away elsewhere.
      for (const actor of actors) {
        const open = routes.filter((route) => isOpenTo(route, actor)).length;
        expect([actor.name, open > PUBLIC.length + 3]).toEqual([actor.name, true]);
        expect([actor.name, open < routes.length]).toEqual([actor.name, actor.name !== 'operator']);
      }
    });

    it('is refused to a cookie that comes from another place, where something may change', async () => {
      const wrong: unknown[] = [];
      for (const origin of ['http://evil.example', null]) {
        const prove = byCookie(host.operatorKey, origin);
        for (const route of routes.filter(({ path }) => !PUBLIC.includes(path))) {
          const answer = await call(route, await prove());
          const isFine =
            route.method === 'GET'
              ? ![401, 403, 500].includes(answer.status)
              : answer.status === 403 && String(answer.body.detail).includes('Origin');
          if (!isFine) wrong.push([origin, ...told(route, answer)]);
        }
      }
      expect(wrong).toEqual([]);
    });

    it("answers another tenant's ids like missing ones", async () => {
      const wrong: unknown[] = [];
      let tried = 0;
      for (const route of routes.filter(({ path }) => path.includes(':'))) {
        if (NAMES_OF_NO_TENANT.some((pattern) => pattern.test(route.path))) continue;
        const { access } = route;
        // Operators' routes are closed to the admin of any tenant; tried above.
        if (access && 'permission' in access && !ADMIN.includes(access.permission)) continue;
        const id = idOfTenantA(route.path);
        if (id === null) {
          wrong.push([route.path, 'say in this spec whose its ids are']);
          continue;
        }
        const foreign = await call(route, { key: keyB }, id);
        const missing = await call(route, { key: keyB }, MISSING);
        tried++;
        if (foreign.status !== 404 || shapeOf(foreign, id) !== shapeOf(missing, MISSING)) {
          wrong.push([...told(route, foreign), shapeOf(missing, MISSING)]);
        }
      }
      expect(wrong).toEqual([]);
      expect(tried).toBeGreaterThan(20);
      for (const path of ['/api/execute', '/api/execute-plan']) {
        const body = { plan_id: planA };
        const answer = await host.send({ method: 'POST', path, key: keyB, body });
        expect([path, answer.status]).toEqual([path, 404]);
      }
      // All of it is there, and as it was.
      const mine = async (path: string): Promise<Answer> => await host.send({ path, key: keyA });
      expect((await mine(`/api/plans/${planA}`)).body).toMatchObject({ name: 'a', version: 1 });
      expect((await mine(`/api/executions/${executionA}`)).body.status).toBe('success');
      expect((await mine(`/api/users/${userA.id}`)).body).toMatchObject({ disabled_at: null });
      expect((await mine('/api/provider-credentials')).body.credentials).toHaveLength(1);
      expect((await host.send({ path: '/api/plans', key: userA.key })).status).toBe(200);
    });

    it('tells nothing of how it is made when it refuses or fails', async () => {
      const leaks =
        /node_modules|\/src\/|\.ts:\d|\.js:\d|\bselect \b|insert into|QueryFailed|stack/i;
      const leaking: unknown[] = [];
      for (const route of routes) {
        for (const id of [
          MISSING,
          `'; drop table users; --`,
          '../../etc/passwd',
          'x'.repeat(300),
        ]) {
          const answer = await call(route, { key: host.operatorKey }, encodeURIComponent(id));
          if (answer.status < 400) continue;
          const text = JSON.stringify(answer.body);
          if (answer.status >= 500 || leaks.test(text.replaceAll(id, ''))) {
            leaking.push(told(route, answer));
          }
        }
      }
      expect(leaking).toEqual([]);
    });

    it('takes no tenant, owner or rights from a body: they are refused by name', async () => {
      const wrong: unknown[] = [];
      const assigned = {
        tenant_id: MISSING,
        tenantId: MISSING,
        owner_id: MISSING,
        is_operator: true,
      };
      const writing = routes.filter(
        ({ method, path }) => method !== 'GET' && method !== 'DELETE' && !isFreeForm(path),
      );
      for (const route of writing) {
        const answer = await call(route, { key: host.operatorKey }, MISSING, assigned);
        // A route without a body of its own looks for its id first.
        const isFine = answer.status === 400 || (answer.status === 404 && route.path.includes(':'));
        if (!isFine) wrong.push(told(route, answer));
      }
      expect(wrong).toEqual([]);
      expect(writing.length).toBeGreaterThan(12);
    });
  });

  it('shows tenant B lists without anything of A', async () => {
    for (const [path, list] of [
      ['/api/plans', 'plans'],
      ['/api/executions', 'executions'],
      ['/api/execution-logs', 'logs'],
      ['/api/provider-credentials', 'credentials'],
      ['/api/scheduler/jobs', 'jobs'],
      ['/api/waits', 'waits'],
      ['/api/audit-log', 'events'],
    ] as const) {
      const [ofA, ofB] = [
        await host.send({ path, key: keyA }),
        await host.send({ path, key: keyB }),
      ];
      expect([path, ofA.body[list].length > 0]).toEqual([path, true]);
      const idsOfA = (ofA.body[list] as { id: string }[]).map(({ id }) => id);
      const idsOfB = (ofB.body[list] as { id: string }[]).map(({ id }) => id);
      expect(idsOfB.filter((id) => idsOfA.includes(id))).toEqual([]);
      if (path !== '/api/audit-log') expect(idsOfB).toEqual([]);
    }
    const byPlan = `?plan_id=${planA}`;
    for (const [path, list] of [
      [`/api/executions${byPlan}`, 'executions'],
      [`/api/execution-logs${byPlan}`, 'logs'],
      [`/api/waits?execution_id=${waitingA}`, 'waits'],
    ] as const) {
      const { body } = await host.send({ path, key: keyB });
      expect([path, body[list]]).toEqual([path, []]);
    }
    for (const [path, list] of [
      ['/api/users', 'users'],
      ['/api/api-keys', 'api_keys'],
    ] as const) {
      const { body } = await host.send({ path, key: keyB });
      expect([path, body[list].length]).toEqual([path, 1]); // those of its own first admin
    }
  });

  it('hides private things from other members, and lets only owner and admins change shared ones', async () => {
    const send = (method: Method, path: string, key: string, body?: unknown): Promise<Answer> =>
      host.send({ method, path, key, body });
    const mine = await send('POST', '/api/plans', userA.key, { name: 'mine', steps: STEPS });
    const path = `/api/plans/${String(mine.body.id)}`;
    expect((await send('GET', path, viewerA.key)).status).toBe(404);
    expect((await send('GET', path, keyA)).status).toBe(200); // the tenant's admin
    const shared = `/api/plans/${planA}`;
    expect((await send('GET', shared, viewerA.key)).status).toBe(200);
    expect((await send('PUT', shared, userA.key, { name: 'x' })).status).toBe(403);
    expect((await send('DELETE', shared, userA.key)).status).toBe(403);
    const run = await send('POST', `${shared}/execute`, userA.key, { wait: 10 });
    expect(run.body.status).toBe('success');
  });

  it('ends with a revoked or expired key at once', async () => {
    for (const end of ['revoked_at', 'expires_at']) {
      const { key, keyId } = await host.createUser();
      expect((await host.send({ path: '/api/plans', key })).status).toBe(200);
      await asSuperuser(host.database, `update api_keys set ${end} = now() where id = $1`, [keyId]);
      expect((await host.send({ path: '/api/plans', key })).status).toBe(401);
    }
  });

  it('takes a key in the Authorization header, too', async () => {
    const headers = { authorization: `ApiKey ${host.operatorKey}` };
    expect((await host.send({ path: '/api/plans', key: null, headers })).status).toBe(200);
  });

  it('ignores nothing that looks like a tenant in the body: it refuses it by name', async () => {
    const body = { name: 'x', steps: STEPS, tenant_id: planA, owner_id: planA };
    const answer = await host.send({ method: 'POST', path: '/api/plans', body });
    expect(answer.status).toBe(400);
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual([
      '/owner_id',
      '/tenant_id',
    ]);
  });

  /** An id of tenant A for what the path names; null when this spec doesn't know whose it is. */
  function idOfTenantA(path: string): string | null {
    const ids: [RegExp, string][] = [
      [/^\/api\/(plans|execution-plans|workflows)\/:id/, planA],
      [/^\/api\/executions\/:id/, executionA],
      [/^\/api\/users\/:id/, userA.id],
      [/^\/api\/api-keys\/:id/, userA.keyId],
      [/^\/api\/provider-credentials\/:id\//, credentialA],
      // No id is a token, which alone says whose wait it opens.
      [/^\/api\/waits\/:token$/, waitingA],
    ];
    return ids.find(([pattern]) => pattern.test(path))?.[1] ?? null;
  }

  async function call(
    route: Route,
    proof: Proof,
    id = MISSING,
    body: unknown = bodyOf(route),
  ): Promise<Answer> {
    return await host.send({
      method: route.method as Method,
      path: route.path.replace(/:\w+/g, id),
      key: null,
      ...proof,
      ...(body === undefined ? {} : { body }),
    });
  }

  async function idOf(method: Method, path: string, request: { body: unknown }): Promise<string> {
    const answer = await host.send({ method, path, key: keyA, ...request });
    if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return answer.body.id as string;
  }

  function byKey(key: string): Actor['prove'] {
    return () => Promise.resolve({ key });
  }

  function bySession(key: string): Actor['prove'] {
    return async () => ({
      key: null,
      headers: { authorization: `Bearer ${await host.beginSession(key)}` },
    });
  }

  function byCookie(key: string, origin: string | null): Actor['prove'] {
    return async () => ({
      key: null,
      headers: {
        cookie: `token=${await host.beginSession(key)}`,
        ...(origin !== null && { origin }),
      },
    });
  }
});

function isOpenTo({ access }: Route, actor: Actor): boolean {
  return access !== null && (!('permission' in access) || actor.holds.includes(access.permission));
}

/** A body that a route takes when it has an id that is there, so that only access decides. */
function bodyOf({ method, path }: Route): unknown {
  if (method === 'GET' || method === 'DELETE') return undefined;
  if (method === 'PUT' && /^\/api\/(plans|execution-plans|workflows|users)\//.test(path)) {
    return { name: 'taken over' };
  }
  if (path.endsWith('/fork')) return { from_step: 'step_1' };
  return {};
}

/** Takes any body: to say whether it is a plan, with unknown fields among its problems, or for a plan to read. */
function isFreeForm(path: string): boolean {
  return path.endsWith('/validate') || path === '/api/webhook/*';
}

function told({ method, path }: Route, { status, body }: Answer): unknown[] {
  return [method, path, status, body];
}

/** An answer without what differs by nature: the id that was asked for, and that of the request. */
function shapeOf({ status, body }: Answer, id: string): string {
  return JSON.stringify([status, { ...body, request_id: null }]).replaceAll(id, '<id>');
}

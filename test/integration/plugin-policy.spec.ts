import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { ownerDataSource, prepareDatabase } from '../../src/database/prepare-database.js';
import { rolesOf } from '../../src/database/roles.js';
import { PluginCatalogue } from '../../src/plugins/plugin-catalogue.js';
import type { NewTenant } from '../../src/tenancy/tenants.service.js';
import { eventually } from '../support/eventually.js';
import { storePlugin } from '../support/stored-plugin.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

const ROOT = join(import.meta.dirname, '..', '..');

describe('what a tenant may use', () => {
  const folder = makeFolder();
  let database: TestDatabase;
  let host: TestHost;
  /** A second host on the same database. */
  let other: TestHost;
  let admin: pg.Client;

  beforeAll(async () => {
    const paths = [
      writePlugin(folder, { id: 'greeter', hosts: ['a.example'] }),
      writePlugin(folder, { id: 'roamer', hosts: ['a.example', '*'] }),
    ];
    database = await cloneDatabase();
    host = await startTestHost({ database, plugins: paths });
    other = await startTestHost({ database, plugins: paths });
    admin = new pg.Client({ connectionString: database.adminUrl });
    await admin.connect();
  });

  afterAll(async () => {
    await admin.end();
    await other.close();
    await host.close();
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  describe('enabling a plugin', () => {
    it('for one tenant leaves another without it: in lists, plans and runs', async () => {
      const [a, b] = await twoTenants();
      expect(await put(a, 'greeter', { enabled: true })).toMatchObject({
        status: 200,
        body: { id: 'greeter', enabled: true, usable: true, reason: null },
      });
      expect(await providersOf(a)).toContain('greeter');
      expect(await providersOf(b)).not.toContain('greeter');
      expect((await get(a, '/api/providers/greeter')).status).toBe(200);
      expect((await get(b, '/api/providers/greeter')).status).toBe(404);
      const plan = { name: 'p', steps: [greet()] };
      expect((await post(a, '/api/plans/validate', plan)).body.problems).toEqual([]);
      expect((await post(b, '/api/plans/validate', plan)).body.problems).toEqual([
        {
          pointer: '/steps/0/provider',
          detail: expect.stringMatching(/not enabled.*tenant admin/),
        },
      ]);
      expect((await post(a, '/api/plans', plan)).status).toBe(201);
      expect(await post(b, '/api/plans', plan)).toMatchObject({
        status: 400,
        body: { code: 'plan.invalid' },
      });
      expect((await run(a, greet())).body).toMatchObject({ success: true, output: '1.0.0' });
      expect((await run(b, greet())).body).toMatchObject({ success: false, output: null });
      expect(await viewOf(b, 'greeter')).toMatchObject({ enabled: false, usable: false });
    });

    it('and disabling it count on another running host within a second, for saved plans too', async () => {
      const [a] = await twoTenants();
      await put(a, 'greeter', { enabled: true });
      const runPlan = await savedPlan(a, other);
      expect((await runPlan()).body).toMatchObject({ status: 'success', output: '1.0.0' });
      await put(a, 'greeter', { enabled: false });
      const refused = await eventually(
        'the refusal',
        async () => (await runPlan()).body.error as Record<string, unknown> | null,
        1_000,
      );
      expect(refused).toMatchObject({
        code: 'plugin.not_enabled',
        message: expect.stringMatching(/tenant admin enables it with PUT/),
      });
      await put(a, 'greeter', { enabled: true });
      await eventually('the run', async () => (await runPlan()).body.status === 'success', 1_000);
    });

    it('offers what another host stored since, within a second', async () => {
      const [a] = await twoTenants();
      const listed = async (): Promise<string[]> =>
        (await other.send({ path: '/api/providers', key: a.api_key })).body.providers as string[];
      expect(await listed()).not.toContain('latecomer');
      const action = {
        id: 'greet',
        form: 'value',
        value: 'late',
        input: { type: 'object' },
        output: {},
        effects: 'none',
        idempotency: 'none',
      } as const;
      await storePlugin(database, { id: 'latecomer', origin: 'operator', actions: [action] });
      expect((await put(a, 'latecomer', { enabled: true })).status).toBe(200);
      await eventually('the list', async () => (await listed()).includes('latecomer'), 1_000);
      const { body } = await other.send({ path: '/api/plugins', key: a.api_key });
      expect(body.plugins.map(({ id }: { id: string }) => id)).toContain('latecomer');
      const answer = await runStep(other, a.api_key, greet('greet', 'latecomer'));
      expect(answer.body).toMatchObject({ success: true, output: 'late' });
    });

    it('is written down, with what was agreed to; so is a refusal', async () => {
      const [a] = await twoTenants();
      await put(a, 'greeter', { enabled: true, host_cap: ['*.a.example'] });
      await put(a, 'greeter', { enabled: true });
      await put(a, 'roamer', { enabled: true });
      const { rows } = await admin.query(
        `select subject_id, outcome, details from audit_log
          where tenant_id = $1 and action = 'plugin.changed' order by id`,
        [a.id],
      );
      expect(rows).toEqual([
        {
          subject_id: 'greeter',
          outcome: 'success',
          details: {
            enabled: true,
            host_cap: ['*.a.example'],
            consented: { hosts: ['a.example'], tier: 'isolate' },
          },
        },
        {
          subject_id: 'roamer',
          outcome: 'refused',
          details: {
            code: 'plugin.consent_required',
            reason: expect.stringMatching(/any public host/),
          },
        },
      ]);
    });
  });

  describe('allowed actions and the host cap of a tenant', () => {
    it('narrow what it is shown, may save and may run', async () => {
      const [a, b] = await twoTenants();
      for (const tenant of [a, b]) await put(tenant, 'greeter', { enabled: true });
      const plan = await post(a, '/api/plans', { name: 'p', steps: [greet('wave')] });
      const view = await put(a, 'greeter', {
        allowed_actions: ['greet'],
        host_cap: ['*.example', 'b.test'],
      });
      expect(view.body).toMatchObject({
        enabled: true,
        allowed_actions: ['greet'],
        host_cap: ['*.example', 'b.test'],
      });
      const actionsOf = async (tenant: NewTenant): Promise<string[]> => {
        const { body } = await get(tenant, '/api/providers/greeter');
        return body.actions.map((action: { id: string }) => action.id);
      };
      expect(await actionsOf(a)).toEqual(['greet']);
      expect(await actionsOf(b)).toEqual(['greet', 'wave']);
      expect((await get(a, '/api/providers/greeter/actions/greet')).status).toBe(200);
      expect((await get(a, '/api/providers/greeter/actions/wave')).status).toBe(404);
      expect((await get(b, '/api/providers/greeter/actions/wave')).body).toMatchObject({
        id: 'wave',
        credential: null,
      });
      const { problems } = (
        await post(a, '/api/plans/validate', { steps: [greet(), greet('wave')] })
      ).body;
      expect(problems).toEqual([
        { pointer: '/steps/1/action', detail: expect.stringMatching(/"wave".*allowed_actions/) },
      ]);
      expect((await run(a, greet())).body.success).toBe(true);
      const saved = await post(a, `/api/plans/${String(plan.body.id)}/execute`, { wait: 10 });
      expect(saved.body.error).toMatchObject({ code: 'plugin.not_permitted' });

      expect(await accessOf(a, 'greeter', 'greet')).toMatchObject({
        usable: true,
        hostCaps: [['*.example', 'b.test']],
      });
      await setPolicy(a, { host_cap: ['a.example'] });
      expect(await accessOf(a, 'greeter', 'greet')).toMatchObject({
        hostCaps: [['a.example'], ['*.example', 'b.test']],
      });
      await put(a, 'greeter', { allowed_actions: null, host_cap: null });
      expect(await actionsOf(a)).toEqual(['greet', 'wave']);
      expect(await accessOf(a, 'greeter', 'wave')).toMatchObject({ hostCaps: [['a.example']] });
    });

    it('are refused by their place when they name what is not there', async () => {
      const [a] = await twoTenants();
      const body = { allowed_actions: ['greet', 'wafe'], host_cap: ['https://a.example'] };
      const answer = await put(a, 'greeter', body);
      expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
      expect(answer.body.errors).toEqual([
        {
          pointer: '/allowed_actions/1',
          detail: expect.stringMatching(/no action "wafe"; did you mean "wave"\?/),
        },
        { pointer: '/host_cap/0', detail: expect.stringMatching(/must be a host name/) },
      ]);
      for (const wrong of [{ enabled: 'yes' }, { host_cap: 'a' }, { nope: 1 }]) {
        expect((await put(a, 'greeter', wrong)).status).toBe(400);
      }
      expect((await put(a, 'nope', { enabled: true })).status).toBe(404);
    });
  });

  describe('consent', () => {
    it('is asked for what has no end, and stored', async () => {
      const [a] = await twoTenants();
      expect(await viewOf(a, 'roamer')).toMatchObject({
        consent: { required: true, given: false, missing: [{ host: 'a.example' }, { host: '*' }] },
      });
      const asked = await put(a, 'roamer', { enabled: true });
      expect(asked).toMatchObject({
        status: 409,
        body: {
          code: 'plugin.consent_required',
          detail: expect.stringMatching(/a\.example, any public host/),
          version: '1.0.0',
          missing: [{ host: 'a.example' }, { host: '*' }],
        },
      });
      expect((await run(a, greet('greet', 'roamer'))).body.success).toBe(false);
      const given = await put(a, 'roamer', { enabled: true, consent: true });
      expect(given).toMatchObject({
        status: 200,
        body: {
          usable: true,
          permissions: { hosts: ['a.example', '*'] },
          consent: { required: true, given: true, missing: [] },
        },
      });
      expect((await run(a, greet('greet', 'roamer'))).body.success).toBe(true);
      // It was answered once.
      await put(a, 'roamer', { enabled: false });
      expect((await put(a, 'roamer', { enabled: true })).status).toBe(200);
    });

    it("isn't asked of the operator's own tenant, nor about first-party plugins", async () => {
      const { body } = await host.send({ path: '/api/plugins' });
      const views = new Map<string, Record<string, unknown>>(
        body.plugins.map((view: { id: string }) => [view.id, view]),
      );
      for (const id of ['roamer', 'http', 'logic']) {
        expect(views.get(id)).toMatchObject({
          enabled: true,
          usable: true,
          consent: { given: true, missing: [] },
        });
      }
      expect(views.get('http')).toMatchObject({
        origin: 'first_party',
        consent: { required: false },
        policy: { permitted: true, reason: null },
      });
    });
  });

  describe("the operator's policy of a tenant", () => {
    const OPEN = {
      default: 'include',
      include: [],
      exclude: [],
      tier_cap: 'worker',
      host_cap: null,
    };

    it('is open until it is set, and replaced whole, by id or name', async () => {
      const [a] = await twoTenants();
      const byName = `/api/admin/tenants/${a.name}/plugins`;
      expect(await host.send({ path: byName })).toMatchObject({ status: 200, body: OPEN });
      const policy = {
        default: 'exclude',
        include: ['logic', 'greeter'],
        exclude: ['http'],
        tier_cap: 'isolate',
        host_cap: ['a.example', '*.b.example'],
      };
      expect((await setPolicy(a, policy)).body).toEqual(policy);
      expect((await host.send({ path: byName })).body).toEqual(policy);
      const narrower = { method: 'PUT', path: byName, body: { exclude: ['http'] } } as const;
      expect((await host.send(narrower)).body).toEqual({ ...OPEN, exclude: ['http'] });
      expect((await host.send({ path: `/api/admin/tenants/${a.id}/plugins` })).body).toEqual({
        ...OPEN,
        exclude: ['http'],
      });
      const { rows } = await admin.query(
        `select t.name, l.details from audit_log l join tenants t on t.id = l.tenant_id
          where action = 'tenant.policy_changed' and subject_id = $1 order by l.id`,
        [a.id],
      );
      expect(rows).toHaveLength(2);
      expect(rows[0]).toEqual({
        name: 'default',
        details: { tenant: a.name, before: OPEN, after: policy },
      });
    });

    it('names what is wrong in it', async () => {
      const [a] = await twoTenants();
      const answer = await setPolicy(a, {
        include: ['logic', 'greter'],
        exclude: ['nope'],
        host_cap: ['*'],
      });
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toEqual([
        { pointer: '/include/1', detail: expect.stringMatching(/did you mean "greeter"\?/) },
        { pointer: '/exclude/0', detail: expect.stringMatching(/no plugin "nope"/) },
        { pointer: '/host_cap/0', detail: expect.stringMatching(/must be a host name/) },
      ]);
      for (const wrong of [{ default: 'all' }, { tier_cap: 'root' }, { include: 'http' }]) {
        expect((await setPolicy(a, wrong)).status).toBe(400);
      }
      for (const method of ['GET', 'PUT'] as const) {
        const path = '/api/admin/tenants/nobody/plugins';
        expect(
          (await host.send({ method, path, body: method === 'PUT' ? {} : undefined })).status,
        ).toBe(404);
      }
    });

    it("is not for a tenant's own admin", async () => {
      const [a, b] = await twoTenants();
      for (const tenant of [a, b]) {
        const path = `/api/admin/tenants/${tenant.id}/plugins`;
        expect((await get(a, path)).status).toBe(403);
        const put = await host.send({ method: 'PUT', path, key: a.api_key, body: {} });
        expect(put.status).toBe(403);
      }
    });

    it('takes a plugin from one tenant, first-party or not, also where it runs', async () => {
      const [a, b] = await twoTenants();
      for (const tenant of [a, b]) await put(tenant, 'greeter', { enabled: true });
      const logic = { provider: 'logic', action: 'transform', params: { template: 'x' } };
      const plan = await post(a, '/api/plans', { name: 'p', steps: [greet(), logic] });
      expect((await run(a, greet())).body.success).toBe(true);
      await setPolicy(a, { exclude: ['greeter', 'http'] });

      const left = await providersOf(a);
      expect(left).toContain('logic');
      expect(left).not.toContain('greeter');
      expect(left).not.toContain('http');
      expect(await providersOf(b)).toEqual(expect.arrayContaining(['greeter', 'http', 'logic']));
      const { body } = await post(a, `/api/plans/${String(plan.body.id)}/execute`, { wait: 10 });
      expect(body.error).toMatchObject({
        code: 'plugin.not_permitted',
        message: expect.stringMatching(/operator excludes "greeter"/),
      });
      expect(await put(a, 'greeter', { enabled: true })).toMatchObject({
        status: 403,
        body: {
          code: 'plugin.not_permitted',
          detail: expect.stringMatching(/operator excludes "greeter".*PUT \/api\/admin\/tenants/),
        },
      });
      expect(await viewOf(a, 'greeter')).toMatchObject({
        enabled: true,
        usable: false,
        policy: { permitted: false, reason: expect.stringMatching(/operator excludes/) },
      });
      expect((await put(a, 'greeter', { enabled: false })).status).toBe(200);
      expect((await run(b, greet())).body.success).toBe(true);
    });

    it('permits only what it includes, and no tier above its cap', async () => {
      const [a] = await twoTenants();
      await setPolicy(a, { default: 'exclude', include: ['logic', 'code'] });
      expect(await providersOf(a)).toEqual(['code', 'logic']);
      await setPolicy(a, { tier_cap: 'declarative' });
      const declarative = await providersOf(a);
      expect(declarative).toContain('logic');
      expect(declarative).not.toContain('code');
      expect((await put(a, 'greeter', { enabled: true })).body.detail).toMatch(/tier "isolate"/);
    });

    it('counts on another running host within a second', async () => {
      const [a] = await twoTenants();
      await put(a, 'greeter', { enabled: true });
      const runPlan = await savedPlan(a, other);
      expect((await runPlan()).body.status).toBe('success');
      await setPolicy(a, { exclude: ['greeter'] });
      const refused = await eventually(
        'the refusal',
        async () => (await runPlan()).body.error as Record<string, unknown> | null,
        1_000,
      );
      expect(refused).toMatchObject({ code: 'plugin.not_permitted' });
    });
  });

  it('counts for a step that waits for the database while it is made', async () => {
    const [a] = await twoTenants();
    await put(a, 'greeter', { enabled: true });
    await setPolicy(a, {}); // so that nothing recent is at hand
    await admin.query('begin');
    await admin.query('lock table tenant_plugins in access exclusive mode');
    const access = accessOf(a, 'greeter', 'greet');
    await eventually('the wait', async () => {
      const { rowCount } = await admin.query(
        `select from pg_locks where not granted and relation = 'tenant_plugins'::regclass`,
      );
      return rowCount === 1;
    });
    await setPolicy(a, { exclude: ['greeter'] });
    await admin.query('commit');
    expect(await access).toMatchObject({ usable: false, code: 'plugin.not_permitted' });
  });

  describe('in SQL, as the app role', () => {
    let app: pg.Client;
    let a: NewTenant;
    let b: NewTenant;

    beforeAll(async () => {
      [a, b] = await twoTenants();
      await setPolicy(a, { exclude: ['http'] });
      await put(a, 'greeter', { enabled: true });
      app = new pg.Client({ connectionString: database.appUrl });
      await app.connect();
    });

    afterAll(async () => {
      await app.end();
    });

    it("shows a member the own tenant's policy and decisions, and no other's", async () => {
      for (const table of ['tenant_policies', 'tenant_plugins']) {
        const ofA = `select 1 from ${table} where tenant_id = '${a.id}'`;
        expect([table, await as(a, 'user', ofA)]).toEqual([table, 1]);
        expect([table, await as(b, 'admin', ofA)]).toEqual([table, 0]);
        expect([table, (await app.query(ofA)).rowCount]).toEqual([table, 0]);
      }
    });

    it('lets admins alone decide about plugins', async () => {
      const off = `update tenant_plugins set enabled = false, consented = null`;
      expect(await as(a, 'admin', off)).toBe(1);
      expect(await as(a, 'user', off)).toBe(0);
      expect(await as(b, 'admin', `${off} where tenant_id = '${a.id}'`)).toBe(0);
      const insert = `insert into tenant_plugins (tenant_id, plugin_id, enabled) values ('${a.id}', 'roamer', true)`;
      await expect(as(a, 'user', insert)).rejects.toThrow(/row-level security/);
      await expect(as(b, 'admin', insert)).rejects.toThrow(/row-level security/);
      expect(await as(a, 'admin', insert)).toBe(1);
    });

    it.each([
      `insert into tenant_policies (tenant_id, default_rule, include, exclude, tier_cap)
       select current_tenant_id(), 'include', '{}', '{}', 'worker'`,
      `update tenant_policies set exclude = '{}'`,
      'delete from tenant_policies',
    ])('lets nobody of a tenant write its policy: %s', async (sql) => {
      await expect(as(a, 'admin', sql)).rejects.toThrow(/permission denied/);
    });

    it('opens the functions of the policy to operators alone', async () => {
      const find = `select 1 from find_tenant_policy('${a.id}')`;
      const set = `select set_tenant_policy('${a.id}', '{}')`;
      for (const tenant of [a, b]) {
        expect(await as(tenant, 'admin', find)).toBe(0);
        await expect(as(tenant, 'admin', set)).rejects.toThrow(/only an operator/);
      }
      const { rows } = await admin.query<{ tenant_id: string; id: string }>(
        'select tenant_id, id from users where is_operator',
      );
      const operator = { id: rows[0]?.tenant_id ?? '', user: { id: rows[0]?.id ?? '' } };
      expect(await as(operator, 'admin', find)).toBe(1);
      await expect(app.query(set)).rejects.toThrow(/only an operator/);
    });

    async function as(
      { id, user }: { id: string; user: { id: string } },
      role: string,
      sql: string,
    ): Promise<number | null> {
      await app.query('begin');
      try {
        await app.query(
          `select set_config('app.tenant_id', $1, true), set_config('app.user_id', $2, true), set_config('app.role', $3, true)`,
          [id, user.id, role],
        );
        return (await app.query(sql)).rowCount;
      } finally {
        await app.query('rollback');
      }
    }
  });

  let tenants = 0;

  async function twoTenants(): Promise<[NewTenant, NewTenant]> {
    const next = async (): Promise<NewTenant> => await host.createTenant(`t${String(++tenants)}`);
    return [await next(), await next()];
  }

  async function put(tenant: NewTenant, id: string, body: object): Promise<Answer> {
    const path = `/api/plugins/${id}`;
    return await host.send({ method: 'PUT', path, key: tenant.api_key, body });
  }

  async function get(tenant: NewTenant, path: string): Promise<Answer> {
    return await host.send({ path, key: tenant.api_key });
  }

  async function post(tenant: NewTenant, path: string, body: object): Promise<Answer> {
    return await host.send({ method: 'POST', path, key: tenant.api_key, body });
  }

  /** Pins what it runs: on that host, its steps alone ask what the tenant may use. */
  async function savedPlan(tenant: NewTenant, on: TestHost): Promise<() => Promise<Answer>> {
    const { body } = await post(tenant, '/api/plans', { name: 'p', steps: [greet()] });
    const path = `/api/plans/${String(body.id)}/execute`;
    return async () =>
      await on.send({ method: 'POST', path, key: tenant.api_key, body: { wait: 10 } });
  }

  async function run(tenant: NewTenant, step: object): Promise<Answer> {
    return await runStep(host, tenant.api_key, step);
  }

  async function setPolicy(tenant: NewTenant, body: object): Promise<Answer> {
    const path = `/api/admin/tenants/${tenant.id}/plugins`;
    return await host.send({ method: 'PUT', path, body });
  }

  async function providersOf(tenant: NewTenant): Promise<string[]> {
    return (await get(tenant, '/api/providers')).body.providers as string[];
  }

  async function viewOf(tenant: NewTenant, id: string): Promise<unknown> {
    const { body } = await get(tenant, '/api/plugins');
    return body.plugins.find((view: { id: string }) => view.id === id);
  }

  /** As a step of the tenant's admin would be answered. */
  async function accessOf(tenant: NewTenant, id: string, action: string): Promise<unknown> {
    const catalogue = host.app.get(PluginCatalogue);
    const [entry] = catalogue.versionsOf(id);
    if (!entry) throw new Error(`no plugin ${id}`);
    const ctx = { tenantId: tenant.id, userId: tenant.user.id, role: 'user' as const };
    return await catalogue.accessOf(ctx, entry, action);
  }
});

describe('a version that asks for more', () => {
  let folder: string;
  let database: TestDatabase;
  let operatorKey: string;
  let key: string;

  beforeEach(async () => {
    folder = makeFolder();
    database = await cloneDatabase();
    operatorKey = '';
    key = '';
  });

  afterEach(async () => {
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  it('waits for consent, while the older one goes on', async () => {
    let plan = '';
    await withHost([writePlugin(folder, { id: 'greeter', hosts: ['a.example'] })], async (host) => {
      expect((await put(host, { enabled: true })).body.version).toBe('1.0.0');
      const body = { name: 'p', steps: [greet()] };
      plan = (await host.send({ method: 'POST', path: '/api/plans', key, body })).body.id as string;
    });
    const wider = { id: 'greeter', version: '2.0.0', hosts: ['a.example', 'b.test'] };
    await withHost([writePlugin(folder, wider)], async (host) => {
      const outputOfPlan = async (): Promise<unknown> => {
        const path = `/api/plans/${plan}/execute`;
        return (await host.send({ method: 'POST', path, key, body: { wait: 10 } })).body.output;
      };
      const versions = async (of = key): Promise<unknown> =>
        (await host.send({ path: '/api/providers/greeter', key: of })).body.versions;

      expect(await outputOfPlan()).toBe('1.0.0');
      expect(await versions()).toEqual(['1.0.0']);
      expect(await versions(operatorKey)).toEqual(['1.0.0']);
      expect((await runStep(host, key, greet())).body.output).toBe('1.0.0');
      const wanted = await runStep(host, key, { ...greet(), version: '2.0.0' });
      expect(wanted.body.error.details.errors).toEqual([
        {
          pointer: '/step/version',
          detail: expect.stringMatching(/2\.0\.0 asks for more.*b\.test.*"consent": true/),
        },
      ]);
      expect(await viewOf(host)).toMatchObject({
        version: '2.0.0',
        enabled: true,
        usable: false,
        reason: expect.stringMatching(/b\.test.*new plans get 1\.0\.0/),
        consent: { required: true, given: false, missing: [{ host: 'b.test' }] },
      });
      // What a script says every night is no consent.
      expect((await put(host, { enabled: true })).status).toBe(200);
      expect(await versions()).toEqual(['1.0.0']);

      expect((await put(host, { consent: true })).body).toMatchObject({
        usable: true,
        version: '2.0.0',
        consent: { given: true, missing: [] },
      });
      expect(await versions()).toEqual(['2.0.0', '1.0.0']);
      expect((await runStep(host, key, greet())).body.output).toBe('2.0.0');
      expect(await outputOfPlan()).toBe('1.0.0');
      expect(await versions(operatorKey)).toEqual(['1.0.0']);
    });
  });

  it('under the same number leaves nothing to fall back to for new plans', async () => {
    await withHost([writePlugin(folder, { id: 'greeter', hosts: ['a.example'] })], async (host) => {
      await put(host, { enabled: true });
    });
    await withHost([writePlugin(folder, { id: 'greeter', hosts: ['b.test'] })], async (host) => {
      expect((await runStep(host, key, greet())).body.success).toBe(false);
      expect(await put(host, { enabled: true })).toMatchObject({
        status: 409,
        body: { code: 'plugin.consent_required', missing: [{ host: 'b.test' }] },
      });
      expect((await put(host, { enabled: true, consent: true })).status).toBe(200);
      expect((await runStep(host, key, greet())).body.success).toBe(true);
    });
  });

  /** One host after another on the same database, with a tenant beside the operator's. */
  async function withHost(
    plugins: string[],
    work: (host: TestHost) => Promise<void>,
  ): Promise<void> {
    const host = await startTestHost({ database, plugins });
    try {
      operatorKey ||= host.operatorKey;
      key ||= (await host.createTenant('t')).api_key;
      await work(host);
    } finally {
      await host.close();
    }
  }

  async function put(host: TestHost, body: object): Promise<Answer> {
    return await host.send({ method: 'PUT', path: '/api/plugins/greeter', key, body });
  }

  async function viewOf(host: TestHost): Promise<unknown> {
    const { body } = await host.send({ path: '/api/plugins', key });
    return body.plugins.find(({ id }: { id: string }) => id === 'greeter');
  }
});

describe('a database from before there was consent', () => {
  it('keeps what its tenants had turned on as it was', async () => {
    const database = await cloneDatabase();
    const { adminUrl, rootKey } = database;
    const admin = new pg.Client({ connectionString: adminUrl });
    await admin.connect();
    await admin.query(
      'drop schema public, partitions, graphile_worker cascade; create schema public',
    );
    // Roles of its own: other tests look at theirs while these get rights for a while.
    await prepareDatabase({ adminUrl, appUrl: null, rolePrefix: 'before_', rootKey });
    await admin.query('grant before_system to before_owner');
    await admin.query('grant create on schema public to before_system');
    const { rows: named } = await admin.query<{ name: string }>(
      'select current_database() as name',
    );
    const name = pg.escapeIdentifier(named[0]?.name ?? '');
    await admin.query(`grant create on database ${name} to before_owner`);
    const source = ownerDataSource({ adminUrl, roles: rolesOf('before_') });
    await source.initialize();
    try {
      const isThere = `select from migrations where name = 'plugin_policy1763730000000'`;
      while ((await admin.query(isThere)).rowCount === 1) await source.undoLastMigration();
      await admin.query(`
        insert into tenants (id, name) values (gen_random_uuid(), 't');
        insert into plugins (id, package, origin) values
          ('p', 'p', 'operator'), ('off', 'off', 'operator'), ('http', 'http', 'first_party');
        insert into plugin_bundles (digest, source) values ('b', '');
        insert into plugin_versions (digest, plugin_id, version, bundle_digest, is_current, manifest) values
          ('1', 'p', '1.0.0', 'b', true, '{"tier": "declarative", "permissions": {"hosts": ["a.example"]}}'),
          ('2', 'p', '2.0.0', 'b', true,
           '{"tier": "isolate", "permissions": {"hosts": ["a.example", "*", {"fromInput": "url"}]}}');
        insert into tenant_plugins (tenant_id, plugin_id, enabled)
          select t.id, p.id, p.id <> 'off' from tenants t, plugins p`);
      await source.runMigrations();
      const { rows } = await admin.query(
        'select plugin_id, consented from tenant_plugins order by plugin_id',
      );
      expect(rows).toEqual([
        { plugin_id: 'http', consented: null },
        { plugin_id: 'off', consented: null },
        {
          plugin_id: 'p',
          consented: {
            hosts: expect.arrayContaining(['a.example', '*', { fromInput: 'url' }]),
            tier: 'isolate',
          },
        },
      ]);
    } finally {
      await source.destroy();
      await admin.end();
      await database.drop();
    }
  });
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stepwell-plugin-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** A package of a plugin whose actions tell its version. */
function writePlugin(
  folder: string,
  { id, version = '1.0.0', hosts }: { id: string; version?: string; hosts: string[] },
): string {
  const dir = mkdtempSync(join(folder, id));
  const permissions = { hosts };
  const stepwell = { manifestVersion: 1, id, entry: './index.js', engine: '>=1 <2', permissions };
  writeFileSync(
    join(dir, 'package.json'),
    JSON.stringify({ name: id, version, type: 'module', stepwell }),
  );
  const action = (name: string): string => `defineAction({
    id: '${name}', generic: ${String(hosts.includes('*'))}, effects: 'none',
    input: { type: 'object' }, output: {}, run: () => '${version}' })`;
  writeFileSync(
    join(dir, 'index.js'),
    `import { defineAction, definePlugin } from '@stepwell/plugin-sdk';
     export default definePlugin({ id: '${id}', actions: [${action('greet')}, ${action('wave')}] });`,
  );
  return dir;
}

function greet(action = 'greet', provider = 'greeter'): object {
  return { provider, action, params: {} };
}

async function runStep(host: TestHost, key: string, step: object): Promise<Answer> {
  return await host.send({ method: 'POST', path: '/api/execute-step', key, body: { step } });
}

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { asSuperuser } from '../support/as-superuser.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

const MISSING = '01900000-0000-7000-8000-000000000000';

describe('people', () => {
  let host: TestHost;
  let adminKey: string;
  let adminId: string;

  beforeAll(async () => {
    host = await startTestHost();
    const tenant = await host.createTenant('acme');
    adminKey = tenant.api_key;
    adminId = tenant.user.id;
  });

  afterAll(async () => {
    await host.close();
  });

  const get = (path: string, key = adminKey): Promise<Answer> => host.send({ path, key });
  const post = (path: string, body: unknown, key = adminKey): Promise<Answer> =>
    host.send({ method: 'POST', path, key, body });
  const put = (path: string, body: unknown, key = adminKey): Promise<Answer> =>
    host.send({ method: 'PUT', path, key, body });
  const remove = (path: string, key = adminKey): Promise<Answer> =>
    host.send({ method: 'DELETE', path, key });
  const me = (key: string): Promise<Answer> => get('/api/auth/me', key);

  describe('users', () => {
    it('are made, read, listed and changed', async () => {
      const made = await post('/api/users', { external_id: 'ada', name: 'Ada' });
      expect(made.status).toBe(201);
      expect(made.body).toEqual({
        id: expect.any(String),
        external_id: 'ada',
        name: 'Ada',
        role: 'user',
        is_operator: false,
        disabled_at: null,
        created_at: expect.any(String),
      });
      const path = `/api/users/${String(made.body.id)}`;
      expect((await get(path)).body).toEqual(made.body);
      const changed = await put(path, { name: 'Ada L.', role: 'viewer' });
      expect(changed.body).toEqual({ ...made.body, name: 'Ada L.', role: 'viewer' });
      const found = await get('/api/users?external_id=ada');
      expect(found.body).toEqual({ users: [changed.body], next_cursor: null });
      const first = await get('/api/users?limit=1');
      expect(first.body.users).toHaveLength(1);
      const second = await get(`/api/users?limit=1&cursor=${String(first.body.next_cursor)}`);
      expect(second.body.users[0].id < first.body.users[0].id).toBe(true);
    });

    it('have a name of their own in each tenant', async () => {
      const other = await host.createTenant('with the same names');
      await host.createUser({ adminKey, externalId: 'same' });
      await host.createUser({ adminKey: other.api_key, externalId: 'same' });
      const again = await post('/api/users', { external_id: 'same' });
      expect(again).toMatchObject({ status: 409, body: { code: 'state.conflict' } });
    });

    it.each([
      [{}, '/external_id'],
      [{ external_id: ' ' }, '/external_id'],
      [{ external_id: 'x', role: 'operator' }, '/role'],
      [{ external_id: 'x', is_operator: true }, '/is_operator'],
      [{ external_id: 'x', tenant_id: MISSING }, '/tenant_id'],
      [{ external_id: 'x', id: MISSING }, '/id'],
      [{ external_id: 'x', permissions: ['tenant.manage'] }, '/permissions'],
      [{ external_id: 'x', role: null }, '/role'],
      [{ external_id: 'x', name: null }, '/name'],
    ])('refuse %j by name', async (body, pointer) => {
      const answer = await post('/api/users', body);
      expect(answer.status).toBe(400);
      expect(answer.body.errors.map((one: { pointer: string }) => one.pointer)).toContain(pointer);
    });

    it('take no assignment that is not theirs to take when they are changed', async () => {
      const { id } = await host.createUser({ adminKey });
      for (const body of [
        { is_operator: true },
        { tenant_id: MISSING },
        { external_id: 'y' },
        {},
      ]) {
        expect((await put(`/api/users/${id}`, body)).status).toBe(400);
      }
      expect((await get(`/api/users/${id}`)).body.is_operator).toBe(false);
    });

    it('stay as they are when a field is null, which is no value', async () => {
      const { id } = await host.createUser({ adminKey, role: 'viewer' });
      await put(`/api/users/${id}`, { disabled: true });
      for (const field of ['disabled', 'role', 'name']) {
        const answer = await put(`/api/users/${id}`, { [field]: null });
        expect(answer.status).toBe(400);
        expect(answer.body.errors[0].pointer).toBe(`/${field}`);
      }
      expect((await get(`/api/users/${id}`)).body.disabled_at).toEqual(expect.any(String));
    });

    it('are gone with the next request when disabled, and back when enabled', async () => {
      const { id, key } = await host.createUser({ adminKey });
      const token = await host.beginSession(key);
      const headers = { authorization: `Bearer ${token}` };
      const bySession = (): Promise<Answer> =>
        host.send({ path: '/api/auth/me', key: null, headers });
      expect([(await me(key)).status, (await bySession()).status]).toEqual([200, 200]);
      const disabled = await put(`/api/users/${id}`, { disabled: true });
      expect(disabled.body.disabled_at).toEqual(expect.any(String));
      expect([(await me(key)).status, (await bySession()).status]).toEqual([401, 401]);
      const newKey = await post('/api/api-keys', { name: 'k', user_id: id });
      expect(newKey).toMatchObject({ status: 409, body: { code: 'state.conflict' } });
      await put(`/api/users/${id}`, { disabled: false });
      // The key works again; the session is over.
      expect([(await me(key)).status, (await bySession()).status]).toEqual([200, 401]);
    });

    it('change what their keys may do with their role', async () => {
      const { id, key } = await host.createUser({ adminKey, role: 'viewer' });
      expect((await me(key)).body.permissions).toEqual([
        'credential.read',
        'plan.read',
        'plugin.read',
      ]);
      await put(`/api/users/${id}`, { role: 'user' });
      expect((await me(key)).body.permissions).toContain('plan.write');
    });

    it('keep the last admin who can come in', async () => {
      const tenant = await host.createTenant('with one admin');
      const [key, path] = [tenant.api_key, `/api/users/${tenant.user.id}`];
      for (const body of [{ role: 'user' }, { role: 'viewer' }, { disabled: true }]) {
        expect((await put(path, body, key)).status).toBe(409);
      }
      // An admin without a key could not come in, either.
      const second = await post('/api/users', { external_id: 'second', role: 'admin' }, key);
      expect((await put(path, { role: 'user' }, key)).status).toBe(409);
      const secondKey = await post(
        '/api/api-keys',
        { name: 'k', user_id: second.body.id, permissions: ['plan.read'] },
        key,
      );
      expect((await put(path, { role: 'user' }, key)).status).toBe(409);
      expect(secondKey.body.permissions).toEqual(['plan.read']);
      await post('/api/api-keys', { name: 'k', user_id: second.body.id }, key);
      expect((await put(path, { name: 'renamed' }, key)).status).toBe(200);
      expect((await put(path, { role: 'user' }, key)).status).toBe(200);
      expect((await get('/api/users', key)).status).toBe(403);
    });

    it('keep one of two admins who demote each other in the same moment', async () => {
      const tenant = await host.createTenant('with two admins');
      const second = await host.createUser({ adminKey: tenant.api_key, role: 'admin' });
      const answers = await Promise.all([
        put(`/api/users/${second.id}`, { role: 'viewer' }, tenant.api_key),
        put(`/api/users/${tenant.user.id}`, { role: 'viewer' }, second.key),
      ]);
      expect(answers.map(({ status }) => status).sort()).not.toEqual([200, 200]);
      const left = await Promise.all([me(tenant.api_key), me(second.key)]);
      expect(left.map(({ body }) => body.user.role).sort()).toEqual(['admin', 'viewer']);
    });

    it('keep somebody who can give everything in the tenant, not user.manage alone', async () => {
      const tenant = await host.createTenant('with a narrow admin');
      const narrow = await host.createUser({
        adminKey: tenant.api_key,
        role: 'admin',
        permissions: ['user.manage', 'credential.read', 'plan.read', 'plugin.read'],
      });
      const [first] = (await get(`/api/api-keys?user_id=${tenant.user.id}`, narrow.key)).body
        .api_keys;
      const path = `/api/users/${tenant.user.id}`;
      expect((await put(path, { role: 'viewer' }, narrow.key)).status).toBe(409);
      expect((await put(path, { disabled: true }, narrow.key)).status).toBe(409);
      expect((await remove(`/api/api-keys/${String(first.id)}`, narrow.key)).status).toBe(409);
      expect((await me(tenant.api_key)).body.permissions).toContain('audit.read');
    });

    it('keep the operator, who could not come back', async () => {
      await host.createUser({ role: 'admin' });
      const { user, authentication } = (await me(host.operatorKey)).body;
      const path = `/api/users/${String(user.id)}`;
      for (const body of [{ role: 'user' }, { disabled: true }]) {
        expect((await put(path, body, host.operatorKey)).status).toBe(409);
      }
      const key = `/api/api-keys/${String(authentication.api_key_id)}`;
      expect((await remove(key, host.operatorKey)).status).toBe(409);
      expect((await me(host.operatorKey)).body.permissions).toContain('tenant.manage');
    });

    it('leave an operator to himself', async () => {
      const admin = await host.createUser({ role: 'admin' });
      const operator = (await me(host.operatorKey)).body.user.id as string;
      const path = `/api/users/${operator}`;
      for (const body of [{ name: 'x' }, { role: 'user' }, { disabled: true }]) {
        expect((await put(path, body, admin.key)).status).toBe(403);
      }
      const key = await post('/api/api-keys', { name: 'k', user_id: operator }, admin.key);
      expect(key).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
      const own = await post('/api/api-keys', { name: 'k' }, host.operatorKey);
      expect((await remove(`/api/api-keys/${String(own.body.id)}`, admin.key)).status).toBe(403);
      expect((await me(own.body.key as string)).body.permissions).toContain('tenant.manage');
      expect((await put(path, { name: 'The operator' }, host.operatorKey)).status).toBe(200);
      expect((await remove(`/api/api-keys/${String(own.body.id)}`, host.operatorKey)).status).toBe(
        200,
      );
    });
  });

  describe('API keys', () => {
    it('are shown once, and listed without what opens anything', async () => {
      const { id } = await host.createUser({ adminKey, externalId: 'keyed' });
      const made = await post('/api/api-keys', { name: 'ci', user_id: 'keyed' });
      expect(made.status).toBe(201);
      expect(made.headers['cache-control']).toBe('no-store');
      const { key, ...view } = made.body;
      expect(view).toEqual({
        id: expect.any(String),
        user_id: id,
        name: 'ci',
        prefix: key.slice(0, 10),
        permissions: null,
        created_at: expect.any(String),
        expires_at: null,
        revoked_at: null,
      });
      const list = await get('/api/api-keys?user_id=keyed');
      expect(list.body.api_keys[0]).toEqual(view);
      expect(list.body.api_keys).toHaveLength(2);
      const all = await get('/api/api-keys');
      expect(all.body.api_keys.length).toBeGreaterThan(2);
      expect(JSON.stringify(all.body)).not.toMatch(/hash|"key"/);
      expect((await get('/api/api-keys?user_id=nobody')).status).toBe(404);
      expect((await me(key as string)).body.user.id).toBe(id);
    });

    it('carry what was asked, cut by what the user has', async () => {
      const { key } = await host.createUser({
        adminKey,
        role: 'viewer',
        permissions: ['plan.read', 'plan.write'],
      });
      const { body } = await me(key);
      expect(body.permissions).toEqual(['plan.read']);
      expect((await get('/api/plans', key)).status).toBe(200);
      expect((await post('/api/plans', {}, key)).status).toBe(403);
      expect((await get('/api/providers', key)).status).toBe(403); // the user could
    });

    it('never carry more than the key that made them', async () => {
      const narrow = await post('/api/api-keys', {
        name: 'narrow',
        permissions: ['user.manage', 'plan.read', 'plan.read'],
      });
      expect(narrow.body.permissions).toEqual(['plan.read', 'user.manage']);
      const key = narrow.body.key as string;
      const wider = await post('/api/api-keys', { name: 'w', permissions: ['plan.write'] }, key);
      expect(wider).toMatchObject({ status: 403, body: { code: 'auth.forbidden' } });
      expect(wider.body.errors[0].pointer).toBe('/permissions');
      const same = await post('/api/api-keys', { name: 's' }, key);
      expect(same.body.permissions).toEqual(['plan.read', 'user.manage']);
      // Nor do they reach more through somebody who was made strong.
      const { id } = await host.createUser({ adminKey, role: 'viewer' });
      expect((await put(`/api/users/${id}`, { role: 'admin' }, key)).status).toBe(403);
      const strong = { external_id: 'strong', role: 'admin' };
      expect((await post('/api/users', strong, key)).status).toBe(403);
      expect((await put(`/api/users/${id}`, { name: 'renamed' }, key)).status).toBe(200);
      // Nobody in a tenant gives what only operators have.
      const operator = await post('/api/api-keys', { name: 'o', permissions: ['tenant.manage'] });
      expect(operator.status).toBe(403);
    });

    it.each([
      [{ name: 'x', permissions: ['root'] }, '/permissions'],
      [{ name: 'x', permissions: [] }, '/permissions'],
      [{ name: 'x', expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
      [{ name: 'x', expires_at: 'soon' }, '/expires_at'],
      [{ name: 'x', key_hash: 'mine' }, '/key_hash'],
      [{ name: 'x', tenant_id: MISSING }, '/tenant_id'],
      [{ name: 'x', user_id: 7 }, '/user_id'],
    ])('refuse %j by name', async (body, pointer) => {
      const answer = await post('/api/api-keys', body);
      expect(answer.status).toBe(400);
      expect(answer.body.errors[0].pointer).toBe(pointer);
    });

    it('carry all and end never when a field is null, as a list shows it', async () => {
      const body = { name: 'k', permissions: null, expires_at: null, user_id: null };
      const made = await post('/api/api-keys', body);
      expect(made).toMatchObject({ status: 201, body: { permissions: null, expires_at: null } });
      const narrow = await post('/api/api-keys', { name: 'n', permissions: ['user.manage'] });
      const next = await post('/api/api-keys', body, narrow.body.key as string);
      expect(next.body.permissions).toEqual(['user.manage']);
    });

    it("are not made for, nor listed of, another tenant's users", async () => {
      const other = await host.createTenant('with keys of its own');
      const foreign = other.user.id;
      const [made, missing] = [
        await post('/api/api-keys', { name: 'x', user_id: foreign }),
        await post('/api/api-keys', { name: 'x', user_id: MISSING }),
      ];
      expect([made.status, missing.status]).toEqual([404, 404]);
      expect(made.body.detail.replace(foreign, '')).toBe(missing.body.detail.replace(MISSING, ''));
      expect((await get(`/api/api-keys?user_id=${foreign}`)).status).toBe(404);
    });

    it('end with the next request, and their sessions with them', async () => {
      const { key, keyId } = await host.createUser({ adminKey });
      const token = await host.beginSession(key);
      const headers = { authorization: `Bearer ${token}` };
      expect((await host.send({ path: '/api/auth/me', key: null, headers })).status).toBe(200);
      const path = `/api/api-keys/${keyId}`;
      expect(await remove(path)).toMatchObject({ status: 200, body: { success: true } });
      expect((await me(key)).status).toBe(401);
      expect((await host.send({ path: '/api/auth/me', key: null, headers })).status).toBe(401);
      expect((await remove(path)).status).toBe(200); // and once more changes nothing
      const [listed] = (await get('/api/api-keys')).body.api_keys.filter(
        (one: { id: string }) => one.id === keyId,
      );
      expect(listed.revoked_at).toEqual(expect.any(String));
    });

    it('end at their time', async () => {
      const { id } = await host.createUser({ adminKey });
      const soon = new Date(Date.now() + 60_000).toISOString();
      const made = await post('/api/api-keys', { name: 'x', user_id: id, expires_at: soon });
      const key = made.body.key as string;
      const { body } = await me(key);
      expect(body.authentication.expires_at).toBe(soon);
      // A session lasts no longer than the key that it was begun with.
      const session = await post('/api/auth/token', undefined, key);
      expect(Date.parse(session.body.expires_at as string)).toBeLessThanOrEqual(Date.parse(soon));
      const expire = 'update api_keys set expires_at = now() where id = $1';
      await asSuperuser(host.database, expire, [made.body.id]);
      expect((await me(key)).status).toBe(401);
      const headers = { authorization: `Bearer ${String(session.body.token)}` };
      expect((await host.send({ path: '/api/auth/me', key: null, headers })).status).toBe(401);
    });

    it('keep the last one of an admin', async () => {
      const tenant = await host.createTenant('with one key');
      const key = tenant.api_key;
      const [{ id }] = (await get('/api/api-keys', key)).body.api_keys;
      expect((await remove(`/api/api-keys/${String(id)}`, key)).status).toBe(409);
      expect((await me(key)).status).toBe(200); // the refused change left nothing behind
      await post('/api/api-keys', { name: 'narrow', permissions: ['plan.read'] }, key);
      expect((await remove(`/api/api-keys/${String(id)}`, key)).status).toBe(409);
      const next = await post('/api/api-keys', { name: 'next' }, key);
      expect((await remove(`/api/api-keys/${String(id)}`, key)).status).toBe(200);
      expect((await me(key)).status).toBe(401);
      expect((await me(next.body.key as string)).status).toBe(200);
    });
  });

  describe('user_id of older clients', () => {
    let member: Member;

    beforeAll(async () => {
      member = await host.createUser({ adminKey, externalId: 'test_user_123' });
    });

    it('is the caller: id or external id, in query or body, and nothing changes', async () => {
      const own = await get(`/api/auth/me?user_id=${adminId.toUpperCase()}`);
      expect(own.body).toMatchObject({
        actor: null,
        permissions: expect.arrayContaining(['audit.read']),
      });
      for (const name of [member.id, member.id.toUpperCase(), member.externalId]) {
        const read = await get(`/api/auth/me?user_id=${name}`, member.key);
        expect(read.body).toMatchObject({ user: { id: member.id }, actor: null });
        const step = { provider: 'logic', action: 'transform', params: { value: 1 } };
        const run = await post('/api/execute-step', { step, user_id: name }, member.key);
        expect(run.body).toMatchObject({ success: true, output: 1 });
      }
    });

    it('is a member whom an admin acts for, with what both may do', async () => {
      const { body } = await get(`/api/auth/me?user_id=${member.externalId}`);
      expect(body).toMatchObject({
        user: { id: member.id, external_id: 'test_user_123', role: 'user' },
        actor: { id: adminId },
        authentication: { kind: 'api_key' },
      });
      expect(body.permissions).toEqual([
        'credential.read',
        'credential.write',
        'plan.delete',
        'plan.execute',
        'plan.read',
        'plan.write',
        'plugin.read',
        'schedule.write',
      ]);
      const step = { provider: 'logic', action: 'transform', params: { value: 1 } };
      const run = await post('/api/execute-step', { step, user_id: member.externalId });
      expect(run.status).toBe(200);
      const own = await get('/api/executions', member.key);
      expect(own.body.executions).toHaveLength(3 + 1); // it runs as the member, and is the member's
    });

    it("shows the admin what the member sees: not another member's private plans", async () => {
      const other = await host.createUser({ adminKey });
      const steps = [{ provider: 'logic', action: 'transform', params: { value: 1 } }];
      await post('/api/plans', { name: 'private of another', steps }, other.key);
      const asAdmin = await get('/api/plans');
      expect(asAdmin.body.plans).toHaveLength(1);
      const asMember = await get(`/api/plans?user_id=${member.id}`);
      expect(asMember.body.plans).toEqual([]);
    });

    it("gives an admin's powers to nobody: the member's permissions decide", async () => {
      const viewer = await host.createUser({ adminKey, role: 'viewer' });
      const admin = await host.createUser({ adminKey, role: 'admin' });
      const body = { name: 'x', steps: [] };
      expect((await post('/api/plans', { ...body, user_id: viewer.id })).status).toBe(403);
      for (const path of ['/api/users', '/api/admin/tenants']) {
        expect((await get(`${path}?user_id=${admin.id}`)).status).toBe(403);
      }
      const { body: seen } = await get(`/api/auth/me?user_id=${admin.id}`);
      expect(seen.permissions).not.toContain('user.manage');
      expect(seen.permissions).not.toContain('plugin.manage');
      expect(seen.permissions).not.toContain('audit.read');
      // A key with few permissions acts with no more of them.
      const made = await post('/api/api-keys', {
        name: 'n',
        permissions: ['user.manage', 'plan.read'],
      });
      const narrow = await get(`/api/auth/me?user_id=${member.id}`, made.body.key as string);
      expect(narrow.body.permissions).toEqual(['plan.read']);
    });

    it('is nobody else: unknown, foreign, disabled and operator users look the same', async () => {
      const other = await host.createTenant('with members of its own');
      const foreign = await host.createUser({ adminKey: other.api_key });
      const disabled = await host.createUser({ adminKey });
      await put(`/api/users/${disabled.id}`, { disabled: true });
      const refusals = [];
      for (const name of [MISSING, 'nobody', foreign.id, foreign.externalId, disabled.id]) {
        const { status, body } = await get(`/api/plans?user_id=${name}`);
        refusals.push({ ...body, status, request_id: null });
      }
      expect(refusals[0]).toMatchObject({ status: 403, code: 'auth.forbidden' });
      expect(new Set(refusals.map((one) => JSON.stringify(one))).size).toBe(1);
      const admin = await host.createUser({ role: 'admin' });
      const operator = (await me(host.operatorKey)).body.user.id as string;
      expect((await get(`/api/plans?user_id=${operator}`, admin.key)).status).toBe(403);
      // Members act for nobody; an admin's key without user.manage doesn't, either.
      expect((await get(`/api/plans?user_id=${adminId}`, member.key)).status).toBe(403);
      const made = await post('/api/api-keys', { name: 'n', permissions: ['plan.read'] });
      const path = `/api/plans?user_id=${member.id}`;
      expect((await get(path, made.body.key as string)).status).toBe(403);
    });

    it.each([7, null, ['x'], { a: 1 }, true])('is a text: %j is refused', async (value) => {
      const answer = await post('/api/execute-step', { user_id: value });
      expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
      expect(answer.body.errors[0].pointer).toBe('/user_id');
    });

    it('is one user: query and body may not name two', async () => {
      const twice = await get(`/api/plans?user_id=${adminId}&user_id=${member.id}`);
      expect(twice.status).toBe(400);
      const both = await post(`/api/execute-step?user_id=${adminId}`, { user_id: member.id });
      expect(both.status).toBe(400);
      const body = { name: 'x', steps: [], user_id: 'test_user_123' };
      expect((await post('/api/plans?user_id=test_user_123', body)).body.code).not.toBe(
        'request.invalid',
      );
    });

    it('begins and ends no session in a member’s name', async () => {
      const answer = await post('/api/auth/token', { user_id: member.id });
      expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
      expect(answer.headers['set-cookie']).toBeUndefined();
    });

    it('makes no member, unless the operator lets it', async () => {
      expect((await get('/api/plans?user_id=new')).status).toBe(403);
      expect((await get('/api/users?external_id=new')).body.users).toEqual([]);
    });
  });

  describe('with STEPWELL_LEGACY_USERS=create', () => {
    let lenient: TestHost;

    beforeAll(async () => {
      lenient = await startTestHost({ env: { STEPWELL_LEGACY_USERS: 'create' } });
    });

    afterAll(async () => {
      await lenient.close();
    });

    const usersNamed = async (name: string): Promise<unknown[]> =>
      (await lenient.send({ path: `/api/users?external_id=${name}` })).body.users as unknown[];

    it("makes an unknown user of an admin's key, once", async () => {
      const body = {
        step: { provider: 'logic', action: 'transform', params: { value: 1 } },
        user_id: 'fresh',
      };
      const runs = await Promise.all(
        Array.from({ length: 4 }, () =>
          lenient.send({ method: 'POST', path: '/api/execute-step', body }),
        ),
      );
      expect(runs.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(await usersNamed('fresh')).toEqual([
        expect.objectContaining({ external_id: 'fresh', role: 'user', is_operator: false }),
      ]);
      const log = await lenient.send({ path: '/api/audit-log?action=user.created' });
      expect(log.body.events).toEqual([
        expect.objectContaining({ details: expect.objectContaining({ external_id: 'fresh' }) }),
      ]);
    });

    it('makes none for others, nor for what a new member may not do, nor in a session', async () => {
      const member = await lenient.createUser({ externalId: 'plain' });
      const path = '/api/plans?user_id=ghost';
      expect((await lenient.send({ path, key: member.key })).status).toBe(403);
      expect((await lenient.send({ path: '/api/admin/tenants?user_id=ghost' })).status).toBe(403);
      const token = await lenient.beginSession(lenient.operatorKey);
      const headers = { authorization: `Bearer ${token}` };
      expect((await lenient.send({ path, key: null, headers })).status).toBe(403);
      expect((await lenient.send({ path: `/api/plans?user_id=${'x'.repeat(201)}` })).status).toBe(
        400,
      );
      expect(await usersNamed('ghost')).toEqual([]);
    });
  });
});

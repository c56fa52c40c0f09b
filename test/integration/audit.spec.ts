import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

import { AuditService } from '../../src/tenancy/audit/audit.service.js';
import { asSuperuser } from '../support/as-superuser.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

interface Event {
  id: string;
  action: string;
  actor_id: string;
  user_id: string;
  subject: { type: string; id: string } | null;
  outcome: string;
  details: Record<string, unknown>;
  request_id: string;
  timestamp: string;
}

describe('the audit log', () => {
  let host: TestHost;
  let adminKey: string;
  let adminId: string;
  let tenantId: string;

  beforeAll(async () => {
    host = await startTestHost();
    const tenant = await host.createTenant('acme');
    adminKey = tenant.api_key;
    adminId = tenant.user.id;
    tenantId = tenant.id;
  });

  afterAll(async () => {
    await host.close();
  });

  const send = (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    request: { key?: string | null; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> => host.send({ method, path, key: adminKey, ...request });
  const events = async (query = '', key = adminKey): Promise<Event[]> => {
    const answer = await host.send({ path: `/api/audit-log?${query}`, key });
    expect(answer.status).toBe(200);
    return answer.body.events as Event[];
  };
  const latest = async (action: string): Promise<Event | undefined> =>
    (await events(`action=${action}&limit=1`))[0];

  it('tells of every change to people and keys, and by whom', async () => {
    const made = await send('POST', '/api/users', { body: { external_id: 'ada' } });
    const userId = made.body.id as string;
    expect(await latest('user.created')).toEqual({
      id: expect.any(String),
      action: 'user.created',
      actor_id: adminId,
      user_id: adminId,
      subject: { type: 'user', id: userId },
      outcome: 'success',
      details: { external_id: 'ada', role: 'user' },
      request_id: expect.any(String),
      timestamp: expect.any(String),
    });
    await send('PUT', `/api/users/${userId}`, { body: { role: 'viewer', disabled: true } });
    expect((await latest('user.updated'))?.details).toEqual({
      role: { from: 'user', to: 'viewer' },
      disabled: { from: false, to: true },
    });
    const key = await send('POST', '/api/api-keys', { body: { name: 'ci' } });
    const subject = { type: 'api_key', id: key.body.id as string };
    const created = await latest('api_key.created');
    expect(created).toMatchObject({ subject, details: { user_id: adminId, name: 'ci' } });
    expect(JSON.stringify(created)).not.toContain(key.body.key);
    await send('DELETE', `/api/api-keys/${subject.id}`);
    expect(await latest('api_key.revoked')).toMatchObject({ subject, actor_id: adminId });
  });

  it('keeps nothing of a change that was refused', async () => {
    const before = await events();
    await send('PUT', `/api/users/${adminId}`, { body: { role: 'viewer' } });
    await send('POST', '/api/users', { body: { external_id: 'ada' } });
    expect(await events()).toEqual(before);
  });

  it('tells of new tenants, to the operator', async () => {
    const [event] = await events('action=tenant.created&limit=1', host.operatorKey);
    expect(event).toMatchObject({
      subject: { type: 'tenant', id: tenantId },
      details: { name: 'acme', admin_user: 'admin' },
    });
    const all = await events('action=tenant.created', host.operatorKey);
    expect(all.at(-1)?.details).toMatchObject({ name: 'default' });
    expect(await events('action=tenant.created')).toEqual([]);
  });

  it('tells of sign-ins and sign-outs', async () => {
    const { id, key, keyId } = await host.createUser({ adminKey });
    const token = await host.beginSession(key);
    const begun = await latest('auth.signed_in');
    expect(begun).toMatchObject({ user_id: id, details: { api_key_id: keyId } });
    expect(JSON.stringify(begun)).not.toContain(token.split('.')[2]);
    const headers = { authorization: `Bearer ${token}` };
    await send('POST', '/api/auth/logout', { key: null, headers });
    expect(await latest('auth.signed_out')).toMatchObject({ user_id: id, subject: begun?.subject });
  });

  it('tells of callers who were refused, and where', async () => {
    const { id, key } = await host.createUser({ adminKey, role: 'viewer' });
    const answer = await send('DELETE', `/api/plans/${randomUUID()}`, { key });
    expect(answer.status).toBe(403);
    expect(await latest('auth.refused')).toMatchObject({
      user_id: id,
      actor_id: id,
      outcome: 'refused',
      subject: null,
      details: {
        method: 'DELETE',
        route: '/api/plans/:id',
        reason: 'this needs the permission plan.delete',
      },
      request_id: answer.body.request_id,
    });
    const cookie = `token=${await host.beginSession(key)}`;
    const headers = { cookie, origin: 'https://evil.example' };
    await send('POST', '/api/plans/validate', { key: null, headers, body: {} });
    expect((await latest('auth.refused'))?.details).toMatchObject({
      route: '/api/plans/validate',
      reason: expect.stringContaining('Origin'),
    });
  });

  it('tells of callers whom a service refused behind the door, once', async () => {
    const { id, key } = await host.createUser({ adminKey });
    const steps = [{ provider: 'logic', action: 'transform', params: { value: 1 } }];
    const plan = await send('POST', '/api/plans', {
      body: { name: 's', visibility: 'tenant', steps },
    });
    const answer = await send('PUT', `/api/plans/${String(plan.body.id)}`, {
      key,
      body: { name: 'x' },
    });
    expect(answer.status).toBe(403);
    const told = await events(`action=auth.refused&user_id=${id}`);
    expect(told).toEqual([
      expect.objectContaining({
        user_id: id,
        outcome: 'refused',
        details: { method: 'PUT', route: '/api/plans/:id', reason: answer.body.detail },
        request_id: answer.body.request_id,
      }),
    ]);
    const body = { name: 'k', permissions: ['tenant.manage'] };
    expect((await send('POST', '/api/api-keys', { body })).status).toBe(403);
    expect(await latest('auth.refused')).toMatchObject({
      user_id: adminId,
      details: { route: '/api/api-keys', reason: expect.stringContaining('tenant.manage') },
    });
    // As a member: told of both.
    const path = `/api/plans/${String(plan.body.id)}?user_id=${id}`;
    expect((await send('DELETE', path)).status).toBe(403);
    expect(await latest('auth.refused')).toMatchObject({ user_id: id, actor_id: adminId });
  });

  it("is not filled by one key's refusals: those past the limit are counted", async () => {
    const { id, key } = await host.createUser({ adminKey, role: 'viewer' });
    for (let i = 0; i < 35; i++) {
      expect((await send('DELETE', `/api/plans/${randomUUID()}`, { key })).status).toBe(403);
    }
    expect(await events(`action=auth.refused&user_id=${id}&limit=100`)).toHaveLength(30);
  });

  it('tells of keys and sessions that had ended, once for many requests', async () => {
    const { id, key, keyId } = await host.createUser({ adminKey });
    const token = await host.beginSession(key);
    await send('DELETE', `/api/api-keys/${keyId}`);
    const headers = { authorization: `Bearer ${token}` };
    for (let i = 0; i < 3; i++) {
      expect((await send('GET', '/api/plans', { key })).status).toBe(401);
      expect((await send('GET', '/api/plans', { key: null, headers })).status).toBe(401);
    }
    const told = await events(`action=auth.refused&user_id=${id}`);
    expect(told.map(({ subject, details }) => [subject?.type, details['reason']])).toEqual([
      ['session', 'revoked'],
      ['api_key', 'revoked'],
    ]);
  });

  it('names the admin who acted for a member, and the member', async () => {
    const member = await host.createUser({ adminKey });
    const body = {
      user_id: member.externalId,
      step: { provider: 'logic', action: 'transform', params: { value: 1 } },
    };
    expect((await send('POST', '/api/execute-step', { body })).status).toBe(200);
    await send('GET', `/api/plans?user_id=${member.id}`);
    const told = await events(`action=user.acted_for&user_id=${member.id}`);
    expect(told).toHaveLength(1); // once for what may change something
    expect(told[0]).toMatchObject({
      actor_id: adminId,
      user_id: member.id,
      subject: { type: 'user', id: member.id },
      details: { method: 'POST', route: '/api/execute-step' },
    });
  });

  it('is filtered by action, person and time, and paged', async () => {
    const all = await events('limit=200');
    expect(all.map(({ id }) => id)).toEqual(
      all
        .map(({ id }) => id)
        .sort()
        .reverse(),
    );
    const first = await send('GET', '/api/audit-log?limit=2');
    const cursor = String(first.body.next_cursor);
    const second = await send('GET', `/api/audit-log?limit=2&cursor=${cursor}`);
    expect([...first.body.events, ...second.body.events]).toEqual(all.slice(0, 4));
    const middle = all[3]!;
    const from = encodeURIComponent(middle.timestamp);
    const late = await events(`from=${from}&limit=200`);
    const early = await events(`to=${from}&limit=200`);
    expect(late.length).toBeGreaterThan(3);
    expect(late.length + early.length).toBe(all.length);
    const member = all.find(({ action }) => action === 'user.acted_for')!.user_id;
    const ofMember = await events(`user_id=${member}`);
    expect(ofMember.every((one) => [one.user_id, one.actor_id].includes(member))).toBe(true);
    expect(ofMember.length).toBeGreaterThan(0);
    expect(ofMember.length).toBeLessThan(all.length);
    expect(await events('user_id=nobody')).toEqual([]);
    for (const wrong of ['action=x', 'from=soon', 'limit=0', 'cursor=x', 'tenant_id=x']) {
      expect((await send('GET', `/api/audit-log?${wrong}`)).status).toBe(400);
    }
  });

  it("is the tenant's own: read by its admins, and by nobody of another", async () => {
    const { key } = await host.createUser({ adminKey });
    expect((await send('GET', '/api/audit-log', { key })).status).toBe(403);
    const other = await host.createTenant('curious');
    expect(await events('', other.api_key)).toEqual([]);
    expect(await events(`user_id=${adminId}`, other.api_key)).toEqual([]);
    const own = await asSuperuser<{ n: number }>(
      host.database,
      'select count(*)::int as n from audit_log where tenant_id = $1',
      [tenantId],
    );
    expect(own[0]?.n).toBeGreaterThan(10); // or it would prove nothing
  });

  describe('as the app role', () => {
    let app: pg.Client;

    beforeAll(async () => {
      app = new pg.Client({ connectionString: host.database.appUrl });
      await app.connect();
      await app.query(
        `select set_config('app.tenant_id', $1, false), set_config('app.user_id', $2, false),
                set_config('app.role', 'admin', false)`,
        [tenantId, adminId],
      );
    });

    afterAll(async () => {
      await app.end();
    });

    it('is read and added to', async () => {
      const audit = host.app.get(AuditService);
      const ctx = { tenantId, userId: adminId, role: 'admin' as const };
      await audit.recordAlone(ctx, { action: 'execution.cancelled', subject: null });
      const { rows } = await app.query(
        `select 1 from audit_log where action = 'execution.cancelled'`,
      );
      expect(rows).toHaveLength(1);
    });

    it.each([
      `update audit_log set details = '{}'`,
      `update audit_log set outcome = 'success' where false`,
      'delete from audit_log',
      'truncate audit_log',
      'drop table audit_log',
      'alter table audit_log disable row level security',
      `insert into audit_log select * from audit_log on conflict on constraint pk_audit_log
         do update set details = '{}'`,
      'select 1 from audit_log for update',
    ])('is not changed: %s', async (sql) => {
      await expect(app.query(sql)).rejects.toThrow(/permission denied|must be owner/);
    });

    it('takes no entry in the name of another user or tenant', async () => {
      const { id } = await host.createUser({ adminKey });
      const forge = (tenant: string, user: string): Promise<unknown> =>
        app.query(
          `insert into audit_log (tenant_id, id, actor_id, user_id, action, outcome, details)
           values ($1, gen_random_uuid(), $2, $2, 'plan.deleted', 'success', '{}')`,
          [tenant, user],
        );
      await expect(forge(tenantId, id)).rejects.toThrow(/row-level security/);
      const other = await host.createTenant('framed');
      await expect(forge(other.id, other.user.id)).rejects.toThrow(/row-level security/);
      await expect(forge(tenantId, adminId)).resolves.toBeDefined();
    });
  });
});

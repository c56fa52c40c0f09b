import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

const STEPS = [{ provider: 'logic', action: 'transform', params: { template: 'x' } }];
const MISSING = '01900000-0000-7000-8000-000000000000';

describe('limits', () => {
  let host: TestHost;

  beforeAll(async () => {
    host = await startTestHost();
  });

  afterAll(async () => {
    await host.close();
  });

  const set = async (path: string, maxRunning: unknown, key = host.operatorKey): Promise<Answer> =>
    await host.send({ method: 'PUT', path, key, body: { max_running: maxRunning } });
  const remove = async (path: string): Promise<Answer> =>
    await host.send({ method: 'DELETE', path });
  const makePlan = async (key: string): Promise<string> => {
    const body = { name: 'p', steps: STEPS };
    return (await host.send({ method: 'POST', path: '/api/plans', key, body })).body.id as string;
  };

  it('are made, changed, listed and deleted, and each of that is in the audit log', async () => {
    const plan = `/api/limits/plan/${await makePlan(host.operatorKey)}`;
    expect((await set(plan, 5)).body).toMatchObject({ kind: 'plan', max_running: 5 });
    expect((await set(plan, 2)).status).toBe(200);
    await set('/api/limits/credential/team', 0);
    const { body } = await host.send({ path: '/api/limits' });
    expect(body).toMatchObject({
      limits: [
        { kind: 'credential', subject: 'team', max_running: 0 },
        { kind: 'plan', max_running: 2 },
      ],
      share: { weight: 10, max_running: null, log_retention_days: null },
    });
    expect((await remove(plan)).body).toEqual({ success: true });
    expect((await remove(plan)).status).toBe(404);
    await remove('/api/limits/credential/team');
    const log = await host.send({ path: '/api/audit-log?limit=100' });
    const told = (log.body.events as { action: string; details: unknown }[])
      .filter(({ action }) => action.startsWith('limit.'))
      .map(({ action, details }) => [action, details]);
    expect(told.reverse().slice(0, 2)).toEqual([
      ['limit.changed', { before: null, after: 5 }],
      ['limit.changed', { before: 5, after: 2 }],
    ]);
    expect(told.filter(([action]) => action === 'limit.deleted')).toHaveLength(2);
  });

  it('are for what there is, and of the own tenant', async () => {
    const foreign = await makePlan((await host.createTenant('other')).api_key);
    for (const path of [`plan/${foreign}`, `plan/${MISSING}`, 'plan/x', 'step/x', 'tenant/x']) {
      expect([path, (await set(`/api/limits/${path}`, 1)).status]).toEqual([path, 404]);
    }
    for (const wrong of [-1, 1.5, 'many', null, undefined]) {
      const answer = await set('/api/limits/provider/http', wrong);
      expect([wrong, answer.status]).toEqual([wrong, 400]);
      expect(answer.body.errors[0].pointer).toBe('/max_running');
    }
  });

  it('hold for a plan however its id is written', async () => {
    const plan = await makePlan(host.operatorKey);
    const written = `/api/limits/plan/${plan.toUpperCase()}`;
    expect((await set(written, 0)).body).toMatchObject({ subject: plan });
    const path = `/api/plans/${plan}/execute`;
    const { body } = await host.send({ method: 'POST', path, body: { wait: 0 } });
    const { body: detail } = await host.send({ path: `/api/executions/${String(body.id)}` });
    expect(detail).toMatchObject({ held_by_limit: { kind: 'plan', subject: plan } });
    expect((await remove(written)).status).toBe(200);
  });

  it("of a tenant are its admins' and the operator's, who says more for it", async () => {
    const user = await host.createUser();
    expect((await set('/api/limits/provider/http', 1, user.key)).status).toBe(403);
    expect((await host.send({ path: '/api/limits', key: user.key })).status).toBe(200);
    const { api_key: adminKey } = await host.createTenant('third');
    const path = '/api/admin/tenants/third/limits';
    expect((await set(path, 1, adminKey)).status).toBe(403);
    expect((await set('/api/admin/tenants/nobody/limits', 1)).status).toBe(404);
    const given = { weight: 10, max_running: 4, log_retention_days: null };
    expect((await set(path, 4)).body).toEqual(given);
    expect((await host.send({ path })).body).toEqual(given);
    const share = { method: 'PUT', path, body: { weight: 30 } } as const;
    expect((await host.send(share)).body).toEqual({ ...given, weight: 30, max_running: null });
  });

  it('keep an execution in the queue, which says so, until they are lifted', async () => {
    await set('/api/limits/tenant/all', 0);
    const path = '/api/execute';
    const body = { plan: { steps: STEPS }, wait: 0 };
    const { body: queued } = await host.send({ method: 'POST', path, body });
    const detail = `/api/executions/${String(queued.id)}`;
    expect((await host.send({ path: detail })).body).toMatchObject({
      status: 'queued',
      held_by_limit: { kind: 'tenant', subject: 'all' },
    });
    await remove('/api/limits/tenant/all');
    const again = await host.send({ method: 'POST', path, body: { ...body, wait: 10 } });
    expect(again.body).toMatchObject({ status: 'success' });
    expect(again.body).not.toHaveProperty('held_by_limit');
    await set('/api/limits/provider/logic', 1);
    const one = await host.send({ method: 'POST', path, body: { ...body, wait: 10 } });
    expect(one.body).toMatchObject({ status: 'success' });
  });
});

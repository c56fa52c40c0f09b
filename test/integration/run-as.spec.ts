import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

const VAULTED = join(import.meta.dirname, '..', 'fixtures', 'plugins', 'vaulted');

/** Whose plan, whose secret: one tenant, two members, their admin; a service that notes the keys it is sent. */
describe('a step runs as', () => {
  let host: TestHost;
  let service: CountingServer;
  /** What the service waits for before it answers. */
  let held: Promise<void> = Promise.resolve();
  let ann: Member;
  let bob: Member;

  beforeAll(async () => {
    service = await startCountingServer(async (_, response) => {
      await held;
      json(response, 200, { ok: true });
    });
    host = await startTestHost({
      plugins: [VAULTED],
      env: { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(service.port)}` },
    });
    ann = await host.createUser({ externalId: 'ann' });
    bob = await host.createUser({ externalId: 'bob' });
  });

  afterEach(async () => {
    for (const key of [ann.key, bob.key, host.operatorKey]) {
      const { body } = await host.send({ path: '/api/provider-credentials', key });
      for (const { name, scope } of body.credentials as { name: string; scope: string }[]) {
        const path = `/api/provider-credentials/vaulted?name=${name}&scope=${scope}`;
        await host.send({ method: 'DELETE', path, key });
      }
    }
    service.seen.length = 0;
  });

  afterAll(async () => {
    await host.close();
    await service.close();
  });

  async function store(
    key: string,
    secret: string,
    more: { name?: string; scope?: string; expires_at?: string; user_id?: string } = {},
  ): Promise<string> {
    const { status, body } = await host.send({
      method: 'POST',
      path: '/api/provider-credentials/vaulted',
      key,
      body: { credentials: { api_key: secret, base_url: service.url }, ...more },
    });
    expect([status, body.detail]).toEqual([200, undefined]);
    return body.id as string;
  }

  const call = (credential?: string) => ({
    id: 'call',
    provider: 'vaulted',
    action: 'call_declarative',
    params: { path: '/who' },
    ...(credential === undefined ? {} : { credential }),
  });

  async function savePlan(key: string, credential?: string, more: object = {}): Promise<Answer> {
    const body = { name: 'who', visibility: 'tenant', steps: [call(credential)], ...more };
    return await host.send({ method: 'POST', path: '/api/plans', key, body });
  }

  /** Runs a plan and tells which key the service was sent, or why there was none. */
  async function run(planId: string, key: string): Promise<string> {
    service.seen.length = 0;
    const path = `/api/plans/${planId}/execute`;
    const { body } = await host.send({ method: 'POST', path, key, body: { wait: 20 } });
    const sent = service.seen[0]?.headers['x-api-key'];
    return typeof sent === 'string' ? sent : (body.error?.code as string);
  }

  async function runStep(key: string, credential?: string, more: object = {}): Promise<string> {
    service.seen.length = 0;
    const { body } = await host.send({
      method: 'POST',
      path: '/api/execute-step',
      key,
      body: { step: call(credential), ...more },
    });
    const sent = service.seen[0]?.headers['x-api-key'];
    return typeof sent === 'string' ? sent : (body.error?.code as string);
  }

  it("its caller, with the caller's own credential, then the tenant's, then none", async () => {
    const plan = (await savePlan(ann.key)).body.id as string;
    expect(await run(plan, bob.key)).toBe('credential.missing');
    await store(host.operatorKey, 'key-of-all', { scope: 'tenant' });
    expect(await run(plan, bob.key)).toBe('key-of-all');
    await store(bob.key, 'key-of-bob');
    expect(await run(plan, bob.key)).toBe('key-of-bob');
    expect(await run(plan, ann.key)).toBe('key-of-all');
  });

  it('nobody in particular where a step wants no credential', async () => {
    const [needs, can] = ['call_declarative', 'post'].map((action) => ({
      provider: action === 'post' ? 'webhook' : 'vaulted',
      action,
      params: action === 'post' ? { url: `${service.url}/hook`, body: {} } : { path: '/' },
      credential: null,
    }));
    const path = '/api/execute-step';
    const refused = await host.send({ method: 'POST', path, body: { step: needs } });
    expect(refused.body.error.message).toMatch(/\/step\/credential: .* needs a credential/);

    const elsewhere = { secret: 'signing-secret-0123', endpoint: 'https://receiver.example/' };
    const stored = await host.send({
      method: 'POST',
      path: '/api/provider-credentials/webhook',
      key: ann.key,
      body: { credentials: elsewhere },
    });
    expect(stored.status).toBe(200);
    const send = async (step: object | undefined) =>
      (await host.send({ method: 'POST', path, key: ann.key, body: { step } })).body;
    expect((await send({ ...can, credential: undefined })).error).toMatchObject({
      message: expect.stringContaining('"credential": null'),
    });
    expect((await send(can)).success).toBe(true);
    expect(service.seen[0]?.headers['webhook-signature']).toBeUndefined();
    await host.send({ method: 'DELETE', path: '/api/provider-credentials/webhook', key: ann.key });
  });

  it('its caller also by name: the same name is another credential for each', async () => {
    const plan = (await savePlan(ann.key, 'work')).body.id as string;
    await store(ann.key, 'work-of-ann', { name: 'work' });
    await store(bob.key, 'other-of-bob');
    expect(await run(plan, ann.key)).toBe('work-of-ann');
    expect(await run(plan, bob.key)).toBe('credential.missing');
  });

  it('whoever its owner lets: an id binds the row for all who run the plan, until somebody else edits it', async () => {
    const id = await store(ann.key, 'bound-of-ann', { name: 'bound' });
    const plan = (await savePlan(ann.key, id)).body.id as string;
    expect(await run(plan, bob.key)).toBe('bound-of-ann');

    const path = `/api/plans/${plan}`;
    const edited = await host.send({ method: 'PUT', path, body: { name: 'renamed by the admin' } });
    expect([edited.status, edited.body.steps[0].credential]).toEqual([200, undefined]);
    expect(await run(plan, bob.key)).toBe('credential.missing');
    expect(await run(plan, ann.key)).toBe('credential.missing');

    const bound = { steps: [call(id)] };
    expect((await host.send({ method: 'PUT', path, key: ann.key, body: bound })).status).toBe(200);
    expect(await run(plan, bob.key)).toBe('bound-of-ann');
    // An edit that sends the steps along as they were read unbinds as well.
    await host.send({ method: 'PUT', path, body: bound });
    expect(await run(plan, bob.key)).toBe('credential.missing');
  });

  it("nobody who isn't its owner: another's private credential can't be named, saved or run", async () => {
    const id = await store(ann.key, 'secret-of-ann', { name: 'mine' });
    for (const key of [bob.key, host.operatorKey]) {
      const saved = await savePlan(key, id);
      expect([saved.status, saved.body.errors[0].pointer]).toEqual([400, '/steps/0/credential']);
      expect(await runStep(key, id)).toBe('input.invalid');
      expect(await runStep(key, 'mine')).toBe('credential.missing');
    }
    expect(await runStep(ann.key, id)).toBe('secret-of-ann');
    const list = await host.send({ path: '/api/provider-credentials', key: bob.key });
    expect(list.body.credentials).toEqual([]);
  });

  it('the member for whom an admin acts', async () => {
    const id = await store(host.operatorKey, 'stored-for-ann', { user_id: 'ann' });
    expect(await runStep(host.operatorKey, undefined, { user_id: 'ann' })).toBe('stored-for-ann');
    expect(await runStep(ann.key)).toBe('stored-for-ann');
    expect(await runStep(host.operatorKey)).toBe('credential.missing');
    expect((await savePlan(host.operatorKey, id)).status).toBe(400);
    const refused = await host.send({
      method: 'POST',
      path: '/api/execute-step',
      key: bob.key,
      body: { step: call(), user_id: 'ann' },
    });
    expect(refused.status).toBe(403);
    const audit = await host.send({ path: '/api/audit-log?action=credential.created' });
    expect(audit.body.events[0]).toMatchObject({
      subject: { type: 'credential', id },
      user_id: ann.id,
    });
    expect(audit.body.events[0].actor_id).not.toBe(ann.id);
  });

  it('only the member himself, not all, where an admin who acts for him binds what is private', async () => {
    const id = await store(ann.key, 'private-of-ann', { name: 'private' });
    const acting = { user_id: 'ann' };
    const mine = await savePlan(host.operatorKey, id, { ...acting, visibility: 'private' });
    expect(mine.status).toBe(201);
    expect(await run(mine.body.id as string, ann.key)).toBe('private-of-ann');
    const path = `/api/plans/${String(mine.body.id)}`;
    const put = (body: object, key: string): Promise<Answer> =>
      host.send({ method: 'PUT', path, key, body });

    const shared = await savePlan(host.operatorKey, id, acting);
    expect([shared.status, shared.body.errors[0].pointer]).toEqual([403, '/steps/0/credential']);
    expect((await put({ ...acting, visibility: 'tenant' }, host.operatorKey)).status).toBe(403);
    expect((await put({ visibility: 'tenant' }, ann.key)).status).toBe(200);
    const elsewhere = { ...acting, steps: [{ ...call(id), params: { path: '/elsewhere' } }] };
    expect((await put(elsewhere, host.operatorKey)).status).toBe(403);
    // Without it he may do what the member may.
    expect((await savePlan(host.operatorKey, 'private', acting)).status).toBe(201);
    expect((await put({ ...acting, steps: [call()] }, host.operatorKey)).status).toBe(200);
  });

  it('nobody once its credential has expired or is gone', async () => {
    const soon = new Date(Date.now() + 400).toISOString();
    const id = await store(ann.key, 'short-lived', { expires_at: soon });
    const plan = (await savePlan(ann.key, id)).body.id as string;
    await eventuallyExpired(plan);
    await host.send({
      method: 'DELETE',
      path: '/api/provider-credentials/vaulted',
      key: ann.key,
    });
    expect(await run(plan, ann.key)).toBe('credential.missing');

    async function eventuallyExpired(planId: string): Promise<void> {
      const deadline = Date.now() + 10_000;
      for (;;) {
        const outcome = await run(planId, ann.key);
        if (outcome === 'credential.expired') return;
        expect(outcome).toBe('short-lived');
        expect(Date.now()).toBeLessThan(deadline);
      }
    }
  });

  it('nobody who was disabled, from the next request on', async () => {
    const eve = await host.createUser({ externalId: 'eve' });
    await store(eve.key, 'key-of-eve');
    let release = (): void => undefined;
    held = new Promise((resolve) => {
      release = resolve;
    });
    const started = await host.send({
      method: 'POST',
      path: '/api/execute-plan',
      key: eve.key,
      body: { plan: { steps: [call(), { ...call(), id: 'again' }] }, wait: 0 },
    });
    await eventually('the first request', () => service.seen.length === 1);
    const path = `/api/users/${eve.id}`;
    await host.send({ method: 'PUT', path, body: { disabled: true } });
    // What a host read before counts for half a second.
    const deadline = performance.now() + 1_000;
    await eventually('a second', () => performance.now() > deadline);
    release();
    const execution = await eventually('the end of the run', async () => {
      const { body } = await host.send({ path: `/api/executions/${String(started.body.id)}` });
      return body.status === 'running' ? null : body;
    });
    expect(execution).toMatchObject({ status: 'error', error: { code: 'user.disabled' } });
    expect(service.seen).toHaveLength(1);
  });

  it('an owner whose plans, runs and logs nobody else of the tenant sees', async () => {
    await store(ann.key, 'key-of-ann');
    const plan = (await savePlan(ann.key, undefined, { visibility: 'private' })).body.id as string;
    expect(await run(plan, ann.key)).toBe('key-of-ann');
    const mine = await host.send({ path: `/api/executions?plan_id=${plan}`, key: ann.key });
    const execution = mine.body.executions[0].id as string;

    for (const path of [
      `/api/plans/${plan}`,
      `/api/plans/${plan}/versions`,
      `/api/executions/${execution}`,
    ]) {
      expect([path, (await host.send({ path, key: ann.key })).status]).toEqual([path, 200]);
      expect([path, (await host.send({ path, key: bob.key })).status]).toEqual([path, 404]);
    }
    for (const [path, items] of [
      ['/api/plans', 'plans'],
      ['/api/executions', 'executions'],
      ['/api/execution-logs', 'logs'],
    ] as const) {
      const seen = (who: Member) => host.send({ path: `${path}?limit=200`, key: who.key });
      const holds = (answer: Answer) => JSON.stringify(answer.body[items]).includes(plan);
      expect([path, holds(await seen(ann)), holds(await seen(bob))]).toEqual([path, true, false]);
    }
    expect(await run(plan, bob.key)).toBeUndefined();
    expect(service.seen).toEqual([]);
  });

  it('somebody whose use of a credential is in the audit log, attempt by attempt', async () => {
    const id = await store(ann.key, 'audited');
    await runStep(ann.key);
    const { body } = await host.send({ path: '/api/audit-log?action=credential.used' });
    expect(body.events[0]).toMatchObject({
      user_id: ann.id,
      subject: { type: 'credential', id },
      details: { provider: 'vaulted', action: 'call_declarative', attempt: 1 },
    });
  });
});

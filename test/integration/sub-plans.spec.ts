import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type Answer, type Member, type TestHost } from '../support/test-host.js';

describe('a plan that runs plans', () => {
  const held: ServerResponse[] = [];
  let isFailing = false;
  let server: CountingServer;
  let host: TestHost;
  let ann: Member;

  beforeAll(async () => {
    server = await startCountingServer(({ url }, response) => {
      if (url.startsWith('/hold')) held.push(response);
      else json(response, isFailing && url.startsWith('/flaky') ? 400 : 200, { url });
    });
    host = await startTestHost({
      env: { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(server.port)}` },
    });
    ann = await host.createUser({ externalId: 'ann' });
  });

  afterEach(() => {
    isFailing = false;
    for (const response of held.splice(0)) json(response, 200, {});
  });

  afterAll(async () => {
    await host.close();
    await server.close();
  });

  const transform = (id: string, value: unknown, rest: object = {}): object => ({
    ...{ id, provider: 'logic', action: 'transform', params: { value } },
    ...rest,
  });
  const request = (id: string, path: string, rest: object = {}): object => ({
    ...{
      id,
      provider: 'http',
      action: 'request',
      params: { method: 'POST', url: server.url + path },
    },
    ...rest,
  });
  const runs = (id: string, planId: string, rest: object = {}): object => ({
    ...{ id, provider: 'plan', action: 'run' },
    params: { plan_id: planId, input: { n: '${input.n}' } },
    ...rest,
  });

  async function save(steps: object[], more: object = {}, key = ann.key): Promise<string> {
    const body = { name: 'sub', steps, ...more };
    const answer = await host.send({ method: 'POST', path: '/api/plans', key, body });
    expect([answer.status, answer.body.errors]).toEqual([201, undefined]);
    return answer.body.id as string;
  }

  async function start(steps: object[], key = ann.key): Promise<string> {
    const body = { plan: { steps }, input: { n: 20 }, wait: 0 };
    const answer = await host.send({ method: 'POST', path: '/api/execute', key, body });
    // 202, or 200 with the whole of it: what fails at once may have ended before the answer.
    const hasEnded = ['success', 'error'].includes(answer.body.status as string);
    expect([answer.status, answer.body.errors]).toEqual([hasEnded ? 200 : 202, undefined]);
    return answer.body.id as string;
  }

  async function get(id: string): Promise<Answer['body']> {
    return (await host.send({ path: `/api/executions/${id}` })).body;
  }

  async function until(id: string, ...statuses: string[]): Promise<Answer['body']> {
    return await eventually(`status ${statuses.join(' or ')}`, async () => {
      const body = await get(id);
      return statuses.includes(body.status as string) && body;
    });
  }

  const run = async (steps: object[], key = ann.key): Promise<Answer['body']> =>
    await until(await start(steps, key), 'success', 'error');

  async function control(id: string, what: string): Promise<Answer> {
    const path = `/api/executions/${id}/${what}`;
    return await host.send({ method: 'POST', path, key: ann.key, body: {} });
  }

  /** The executions that an execution's steps have started, oldest first. */
  async function childrenOf(id: string): Promise<Answer['body'][]> {
    const { body } = await host.send({ path: '/api/executions?limit=200' });
    const ids = (body.executions as { id: string }[]).map((one) => one.id);
    const all = await Promise.all(ids.map(get));
    return all.filter((one) => one.parent_id === id).reverse();
  }

  it('has their output in its own', async () => {
    const double = await save([transform('double', { twice: '${input.n}' })]);
    const done = await run([runs('sub', double), transform('after', '${steps.sub.output.output}')]);
    expect(done).toMatchObject({ status: 'success', output: { twice: 20 } });
    const [child, ...others] = await childrenOf(done.id as string);
    expect(others).toEqual([]);
    expect(child).toMatchObject({
      ...{ plan_id: double, trigger: 'sub_plan', owner_id: ann.id, parent_id: done.id },
      input: { n: 20 },
    });
    expect(done.steps[0].result).toMatchObject({
      output: { execution_id: child.id, output: { twice: 20 } },
      metadata: { execution_id: child.id, provider: 'plan', action: 'run' },
    });
  });

  it('runs one for each item, side by side', async () => {
    const one = await save([transform('out', { got: '${input.item}' })]);
    const each = {
      ...{ id: 'each', provider: 'plan', action: 'run', for_each: { items: [1, 2, 3, 4, 5] } },
      params: { plan_id: one, input: { item: '${item}' } },
    };
    const done = await run([each]);
    const outputs = (done.output as { output: unknown }[]).map(({ output }) => output);
    expect(outputs).toEqual([1, 2, 3, 4, 5].map((got) => ({ got })));
    expect(await childrenOf(done.id as string)).toHaveLength(5);
  });

  it('fails with them, and a retry goes on from what failed of them', async () => {
    const sub = await save([
      request('once', '/once', { depends_on: [] }),
      request('flaky', '/flaky', { depends_on: ['once'] }),
    ]);
    isFailing = true;
    const before = server.count('/once');
    const failed = await run([runs('sub', sub), transform('after', 1)]);
    const [child] = await childrenOf(failed.id as string);
    expect(failed).toMatchObject({
      status: 'error',
      error: {
        code: 'sub_plan.failed',
        details: { execution_id: child.id, code: child.error.code },
      },
    });
    isFailing = false;
    expect((await control(failed.id as string, 'retry')).status).toBe(200);
    const done = await until(failed.id as string, 'success');
    expect(done.steps[0]).toMatchObject({ attempts: 2, status: 'success' });
    expect((await childrenOf(failed.id as string)).map(({ id }) => id as string)).toEqual([
      child.id,
    ]);
    expect(server.count('/once') - before).toBe(1);
  });

  it('takes them along when it is cancelled, however deep', async () => {
    const inner = await save([request('hold', '/hold')]);
    const outer = await save([runs('sub', inner)]);
    const id = await start([runs('sub', outer)]);
    await eventually('the innermost request', () => held.length === 1);
    expect((await control(id, 'cancel')).status).toBe(200);
    const [child] = await childrenOf(id);
    const [grandchild] = await childrenOf(child.id as string);
    expect([child.status, grandchild.status]).toEqual(['cancelled', 'cancelled']);
    expect(grandchild.steps[0]).toMatchObject({ status: 'cancelled' });
  });

  it('ends them with an error when another step of it fails, and takes them up again with a retry', async () => {
    const sub = await save([
      request('hold', '/hold', { params: { method: 'GET', url: `${server.url}/hold` } }),
    ]);
    isFailing = true;
    const flaky = request('flaky', '/flaky', { depends_on: ['first'] });
    const id = await start([
      runs('sub', sub, { depends_on: [] }),
      request('first', '/hold/first', {
        depends_on: [],
        params: { url: `${server.url}/hold/first` },
      }),
      flaky,
    ]);
    await eventually('both requests', () => held.length === 2);
    for (const response of held.splice(0)) {
      if (response.req.url === '/hold/first') json(response, 200, {});
      else held.push(response);
    }
    await until(id, 'error');
    const [child] = await childrenOf(id);
    expect(child).toMatchObject({ status: 'error', error: { code: 'step.cancelled' } });
    isFailing = false;
    for (const response of held.splice(0)) json(response, 200, {});
    expect((await control(id, 'retry')).status).toBe(200);
    await eventually('the request, sent again', () => held.length === 1);
    for (const response of held.splice(0)) json(response, 200, {});
    await until(id, 'success');
    expect(await childrenOf(id)).toMatchObject([{ id: child.id, status: 'success' }]);
  });

  it('takes up again what they ran themselves, however deep, and begins none of it anew', async () => {
    const inner = await save([
      request('once', '/deep', { depends_on: [] }),
      request('hold', '/hold', { params: { method: 'GET', url: `${server.url}/hold` } }),
    ]);
    const outer = await save([runs('sub', inner)]);
    isFailing = true;
    const id = await start([
      runs('sub', outer, { depends_on: [] }),
      request('first', '/hold/first', { depends_on: [] }),
      request('flaky', '/flaky', { depends_on: ['first'] }),
    ]);
    await eventually('both requests', () => held.length === 2);
    for (const response of held.splice(0)) {
      if (response.req.url === '/hold/first') json(response, 200, {});
      else held.push(response);
    }
    await until(id, 'error');
    isFailing = false;
    for (const response of held.splice(0)) json(response, 200, {});
    expect((await control(id, 'retry')).status).toBe(200);
    await eventually('the request, sent again', () => held.length === 1);
    for (const response of held.splice(0)) json(response, 200, {});
    await until(id, 'success');
    const [child] = await childrenOf(id);
    expect(await childrenOf(child.id as string)).toMatchObject([{ status: 'success' }]);
    expect(server.count('/deep')).toBe(1);
  });

  it('ends those of a for_each with its first failure, though the execution goes on', async () => {
    const sub = await save([
      request('flaky', '/flaky', { when: 'input.n == 0' }),
      request('hold', '/hold', { params: { method: 'GET', url: `${server.url}/hold` } }),
    ]);
    isFailing = true;
    const each = {
      ...{ id: 'each', provider: 'plan', action: 'run', on_error: 'continue' },
      for_each: { items: [0, 1] },
      params: { plan_id: sub, input: { n: '${item}' } },
    };
    const ask = { id: 'ask', provider: 'wait', action: 'approval', params: { message: 'Go on?' } };
    const id = await start([each, ask]);
    await until(id, 'waiting');
    const codes = (await childrenOf(id)).map(({ input, error }) => [input.n, error.code]);
    expect(new Map(codes as [number, string][])).toEqual(
      new Map([
        [0, 'provider.rejected'],
        [1, 'step.cancelled'],
      ]),
    );
    const { body } = await host.send({ path: `/api/waits?execution_id=${id}` });
    expect(body.waits).toMatchObject([{ step_id: 'ask' }]);
    await control(id, 'cancel');
  });

  it('shows to others no more of what it gives them than of itself', async () => {
    const shared = await save([transform('out', '${input.n}')], { visibility: 'tenant' });
    const done = await run([runs('sub', shared)]);
    expect(await childrenOf(done.id as string)).toMatchObject([{ visibility: 'private' }]);
    const outer = await save([runs('sub', shared)], { visibility: 'tenant' });
    const answer = await host.send({
      ...{ method: 'POST', path: '/api/execute', key: ann.key },
      body: { plan_id: outer, input: { n: 1 }, wait: 20 },
    });
    expect(await childrenOf(answer.body.id as string)).toMatchObject([{ visibility: 'tenant' }]);
  });

  it('goes on at once when they had ended while it was paused', async () => {
    const sub = await save([request('hold', '/hold', { params: { url: `${server.url}/hold` } })]);
    const id = await start([runs('sub', sub)]);
    await eventually('the request', () => held.length === 1);
    await control(id, 'pause');
    await until(id, 'paused');
    for (const response of held.splice(0)) json(response, 200, {});
    const [child] = await childrenOf(id);
    await until(child.id as string, 'success');
    expect((await get(id)).status).toBe('paused');
    await control(id, 'resume');
    await until(id, 'success');
  });

  it('sees no plan that its user does not', async () => {
    const bob = await host.createUser({ externalId: 'bob' });
    const secret = await save([transform('out', 'secret')], {}, bob.key);
    for (const planId of [secret, randomUUID()]) {
      const failed = await run([runs('sub', planId)]);
      expect(failed.error).toMatchObject({
        code: 'sub_plan.failed',
        message: expect.stringContaining(`there is no plan ${planId}`),
      });
      expect(await childrenOf(failed.id as string)).toEqual([]);
    }
    const shared = await save([transform('out', 'shared')], { visibility: 'tenant' }, bob.key);
    expect(await run([runs('sub', shared)])).toMatchObject({ status: 'success' });
  });

  it('may run itself, ten deep and no deeper', async () => {
    const self = await save([transform('out', 1)]);
    const body = { name: 'self', steps: [runs('sub', self)] };
    await host.send({ method: 'PUT', path: `/api/plans/${self}`, key: ann.key, body });
    const failed = await run([runs('sub', self)]);
    expect(failed.error.code).toBe('sub_plan.failed');
    expect(failed.error.message).toContain('10 deep');
    let depth = 0;
    for (let next = failed; next; depth++) [next] = await childrenOf(next.id as string);
    expect(depth).toBe(11);
  });
});

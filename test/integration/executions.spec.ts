import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import pg from 'pg';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

describe('executions', () => {
  let host: TestHost;
  let provider: CountingServer;

  beforeAll(async () => {
    provider = await startCountingServer(({ url, method }, response) => {
      const hits = provider.count(url);
      if (url.startsWith('/flaky')) json(response, hits < 3 ? 503 : 200, { hits });
      else if (url.startsWith('/limited'))
        json(response, hits < 2 ? 429 : 200, { hits }, { 'retry-after': '1' });
      else if (url.startsWith('/broken')) json(response, 500, { error: 'broken' });
      else if (url.startsWith('/hang')) response.writeHead(200).flushHeaders();
      else json(response, 200, { method, items: [1, 2] });
    });
    host = await startTestHost({
      env: { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}` },
    });
  });

  afterAll(async () => {
    await host.close();
    await provider.close();
  });

  const transform = (id: string, value: unknown, rest: object = {}) => ({
    id,
    provider: 'logic',
    action: 'transform',
    params: { value },
    ...rest,
  });
  const request = (id: string, path: string, params: object = {}, rest: object = {}) => ({
    id,
    provider: 'http',
    action: 'request',
    params: { method: 'GET', url: `${provider.url}${path}`, ...params },
    ...rest,
  });
  const run = async (steps: unknown[], rest: object = {}): Promise<Answer> =>
    await host.send({
      method: 'POST',
      path: '/api/execute-plan',
      body: { plan: { steps }, ...rest },
    });
  const stepOf = (answer: Answer, id: string) =>
    answer.body.steps.find((step: { id: string }) => step.id === id);

  it('run a saved plan, answering at once or when it is done', async () => {
    const plan = await host.send({
      method: 'POST',
      path: '/api/plans',
      body: { name: 'p', steps: [transform('a', '${input.x}')] },
    });
    const path = `/api/plans/${String(plan.body.id)}/execute`;
    const async = await host.send({ method: 'POST', path, body: { input: { x: 1 } } });
    expect(async.status === 202 || async.body.status === 'success').toBe(true);
    expect(async.headers['location']).toBe(`/api/executions/${String(async.body.id)}`);
    const sync = await host.send({
      method: 'POST',
      path,
      body: { input: { x: { y: [2] } }, wait: 30 },
    });
    expect(sync).toMatchObject({
      status: 200,
      body: {
        status: 'success',
        plan_id: plan.body.id,
        plan_version: 1,
        output: { y: [2] },
        error: null,
      },
    });
    await eventually('the end of the first', async () => {
      const { body } = await host.send({ path: `/api/executions/${String(async.body.id)}` });
      return body.status === 'success' && body.output === 1;
    });
    const logs = await host.send({ path: `/api/execution-logs?plan_id=${String(plan.body.id)}` });
    expect(logs.body.logs).toHaveLength(2);
    const log = {
      step_id: 'a',
      provider: 'logic',
      action: 'transform',
      status: 'success',
      attempt: 1,
    };
    expect(logs.body.logs).toContainEqual(expect.objectContaining({ ...log, output: { y: [2] } }));
    const list = await host.send({
      path: `/api/executions?plan_id=${String(plan.body.id)}&status=success`,
    });
    expect(list.body.executions).toHaveLength(2);
  });

  it('keep the plan version that they started with, and stay readable when the plan is deleted', async () => {
    const plan = await host.send({
      method: 'POST',
      path: '/api/plans',
      body: { name: 'p', steps: [transform('a', 1)] },
    });
    const path = `/api/plans/${String(plan.body.id)}`;
    const first = await host.send({ method: 'POST', path: `${path}/execute`, body: { wait: 10 } });
    await host.send({ method: 'PUT', path, body: { steps: [transform('a', 2)] } });
    const second = await host.send({ method: 'POST', path: `${path}/execute`, body: { wait: 10 } });
    expect([first.body.output, second.body.output]).toEqual([1, 2]);
    await host.send({ method: 'DELETE', path });
    const kept = await host.send({ path: `/api/executions/${String(first.body.id)}` });
    expect(kept.body).toMatchObject({ status: 'success', plan_version: 1, output: 1 });
    expect((await host.send({ method: 'POST', path: `${path}/execute`, body: {} })).status).toBe(
      404,
    );
  });

  it('run branches side by side, skip what is not wanted, and resolve references', async () => {
    const answer = await run(
      [
        transform('root', { n: 2, text: 'x' }, { depends_on: [] }),
        request('left', '/left', {}, { depends_on: ['root'] }),
        request('right', '/right', {}, { depends_on: ['root'] }),
        transform('never', 1, { depends_on: ['root'], when: '${steps.root.output.n} > 5' }),
        transform(
          'join',
          {
            same: '${steps.root.output}',
            text: 'n=${steps.0.output.n} $${kept}',
            second: '${steps.left.output.body.items[1]}',
            ok: '${steps.right.success}',
            none: '${steps.never.output ?? "none"}',
            who: '${input.name ?? "nobody"}',
          },
          { depends_on: ['left', 'right', 'never'] },
        ),
      ],
      { input: {} },
    );
    expect(answer.status).toBe(200);
    expect(answer.body.output).toEqual({
      same: { n: 2, text: 'x' },
      text: 'n=2 ${kept}',
      second: 2,
      ok: true,
      none: 'none',
      who: 'nobody',
    });
    expect(stepOf(answer, 'never')).toMatchObject({ status: 'skipped', result: null });
  });

  it('fail with the reference in the message when it leads nowhere', async () => {
    const answer = await run([transform('a', { x: 1 }), transform('b', '${steps.a.output.y.z}')]);
    expect(answer.body.status).toBe('error');
    expect(answer.body.error).toMatchObject({ code: 'reference.missing' });
    expect(answer.body.error.message).toContain('${steps.a.output.y.z}');
    expect(answer.body.output).toEqual({ x: 1 });
  });

  it('stop at a failure, or go on when told to', async () => {
    const failing = request('fail', '/broken', {}, { retry: { max_attempts: 1 } });
    const stopped = await run([failing, transform('after', 1)]);
    expect(stopped.body).toMatchObject({
      status: 'error',
      error: { code: 'provider.unavailable' },
    });
    expect(stepOf(stopped, 'after').status).toBe('skipped');
    const went = await run([
      { ...failing, on_error: 'continue' },
      transform('after', { failed: '${steps.fail.success}', code: '${steps.fail.error.code}' }),
    ]);
    expect(went.body).toMatchObject({
      status: 'success',
      output: { failed: false, code: 'provider.unavailable' },
    });
  });

  it('try again what may be tried again, each attempt in the log', async () => {
    const answer = await run([request('a', '/flaky?1', {}, { retry: { backoff_ms: 10 } })]);
    expect(answer.body.status).toBe('success');
    expect(stepOf(answer, 'a')).toMatchObject({
      attempts: 3,
      result: { metadata: { attempts: 3 } },
    });
    const logs = await host.send({
      path: `/api/execution-logs?execution_id=${String(answer.body.id)}`,
    });
    expect(
      logs.body.logs.map((log: { attempt: number; status: string }) => [log.attempt, log.status]),
    ).toEqual([
      [3, 'success'],
      [2, 'error'],
      [1, 'error'],
    ]);
  });

  it('wait as long as Retry-After asks', async () => {
    const begin = performance.now();
    const answer = await run([
      request('a', '/limited', { method: 'POST' }, { retry: { backoff_ms: 1 } }),
    ]);
    expect(answer.body.status).toBe('success');
    expect(performance.now() - begin).toBeGreaterThan(990);
  });

  it('never send a write again whose outcome is unknown', async () => {
    const answer = await run([
      request(
        'a',
        '/broken?write',
        { method: 'POST', body: { x: 1 } },
        { retry: { backoff_ms: 1 } },
      ),
    ]);
    expect(answer.body.status).toBe('error');
    expect(provider.count('/broken?write')).toBe(1);
  });

  it('end an attempt at its time limit', async () => {
    const answer = await run([
      request('a', '/hang?1', {}, { timeout_ms: 200, retry: { max_attempts: 1 } }),
    ]);
    expect(answer.body).toMatchObject({ status: 'error', error: { code: 'step.timed_out' } });
  });

  it('say that the outcome of a write is unknown when its answer never came', async () => {
    const answer = await run([
      request(
        'a',
        '/hang?unknown',
        { method: 'POST' },
        { timeout_ms: 200, retry: { backoff_ms: 1 } },
      ),
    ]);
    expect(answer.body).toMatchObject({
      status: 'error',
      error: { code: 'step.timed_out', details: { outcome: 'unknown' } },
    });
    expect(provider.count('/hang?unknown')).toBe(1);
  });

  it('are cancelled at once, and stay so', async () => {
    const started = await run([request('a', '/hang?2', { method: 'POST' })], { wait: 0 });
    expect(started.status).toBe(202);
    const path = `/api/executions/${String(started.body.id)}`;
    await eventually('the request', () => provider.count('/hang?2') === 1);
    const begin = performance.now();
    const cancelled = await host.send({ method: 'POST', path: `${path}/cancel` });
    expect(cancelled.body).toMatchObject({ status: 'cancelled' });
    expect(performance.now() - begin).toBeLessThan(1000);
    expect(await host.send({ method: 'POST', path: `${path}/cancel` })).toMatchObject({
      status: 409,
    });
    const after = await host.send({ path });
    expect(after.body).toMatchObject({ status: 'cancelled', steps: [{ status: 'cancelled' }] });
  });

  it('start once for an idempotency key, however often it is sent', async () => {
    const body = { plan: { steps: [request('a', '/once')] }, wait: 5 };
    const headers = { 'idempotency-key': 'once' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        host.send({ method: 'POST', path: '/api/execute-plan', body, headers }),
      ),
    );
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    expect(provider.count('/once')).toBe(1);
    const other = await host.send({
      method: 'POST',
      path: '/api/execute-plan',
      body: { ...body, input: { other: true } },
      headers,
    });
    expect(other).toMatchObject({ status: 409, body: { code: 'idempotency.key_reused' } });
  });

  it('run a single step, with results of earlier ones', async () => {
    const step = async (body: unknown) =>
      await host.send({ method: 'POST', path: '/api/execute-step', body });
    const fine = await step({
      step: {
        provider: 'logic',
        action: 'transform',
        params: { template: 'hi ${steps.who.output.name}' },
      },
      step_results: { who: { success: true, output: { name: 'Ada' } } },
      user_id: 'admin',
    });
    expect(fine).toMatchObject({
      status: 200,
      body: {
        success: true,
        output: 'hi Ada',
        error: null,
        metadata: { attempts: 1, provider: 'logic' },
      },
    });
    const failing = await step({
      step: { provider: 'http', action: 'request', params: { url: 'http://127.0.0.1:9/' } },
    });
    expect(failing).toMatchObject({
      status: 200,
      body: { success: false, output: null, error: { code: 'egress.denied' } },
    });
    const unknown = await step({ step: { provider: 'nope', action: 'x', params: {} } });
    expect(unknown).toMatchObject({
      status: 200,
      body: { success: false, error: { code: 'input.invalid' } },
    });
    expect(unknown.body.error.details.errors[0].pointer).toBe('/step/provider');
    expect(await step({ step: 'x' })).toMatchObject({ status: 400 });
    expect(await step({ step: {}, user_id: 'somebody' })).toMatchObject({ status: 403 });
    expect(await host.send({ path: '/api/plans?user_id=admin' })).toMatchObject({ status: 200 });
    expect(await host.send({ path: '/api/plans?user_id=somebody' })).toMatchObject({ status: 403 });
  });

  it('run a single step whose earlier results are null as one without', async () => {
    const step = { provider: 'logic', action: 'transform', params: { value: 1 } };
    const body = { step, step_results: null };
    const ran = await host.send({ method: 'POST', path: '/api/execute-step', body });
    expect([ran.status, ran.body.output]).toEqual([200, 1]);
  });

  it('say how a single step ended that has no result', async () => {
    const step = {
      provider: 'logic',
      action: 'transform',
      params: { template: 'x' },
      when: 'false',
    };
    const skipped = await host.send({ method: 'POST', path: '/api/execute-step', body: { step } });
    expect(skipped.body).toMatchObject({
      success: true,
      output: null,
      message: expect.stringContaining('skipped'),
    });
    const copied = { ...step, when: 'true', depends_on: ['who'] };
    const ran = await host.send({
      method: 'POST',
      path: '/api/execute-step',
      body: { step: copied },
    });
    expect(ran.body).toMatchObject({ success: true, output: 'x' });
  });

  it('show a step that waits for its next attempt as such', async () => {
    const started = await run(
      [request('a', '/broken?retrying', {}, { retry: { backoff_ms: 60_000, max_attempts: 2 } })],
      { wait: 0 },
    );
    const path = `/api/executions/${String(started.body.id)}`;
    const waiting = await eventually('the first failure', async () => {
      const { body } = await host.send({ path });
      return body.steps[0].status !== 'pending' && body;
    });
    // With jitter, it may be soon or far off; then nobody holds the run until it is due.
    expect(waiting).toMatchObject({
      status: expect.stringMatching(/^(running|waiting)$/),
      steps: [{ status: 'retrying', attempts: 1 }],
    });
    await host.send({ method: 'POST', path: `${path}/cancel` });
  });

  it('lose nothing when connections to the database break in the middle', async () => {
    const admin = new pg.Client({ connectionString: host.database.adminUrl });
    await admin.connect();
    try {
      const steps = Array.from({ length: 12 }, (_, i) =>
        request(`s${String(i)}`, `/cut?${String(i)}&`, { method: 'POST' }),
      );
      const starts = await Promise.all(Array.from({ length: 6 }, () => run(steps, { wait: 0 })));
      const ids = starts.map(({ body }) => body.id as string);
      let cuts = 0;
      const finished = await eventually(
        'the end of all runs',
        async () => {
          const { rows } = await admin.query<{ status: string; error: unknown }>(
            `select status, error from executions where id = any ($1)`,
            [ids],
          );
          if (rows.every(({ status }) => status !== 'running')) return rows;
          const { rowCount } = await admin.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'stepwell_app'`,
          );
          cuts += rowCount ?? 0;
          return null;
        },
        25_000,
      );
      expect(cuts).toBeGreaterThan(0);
      expect(finished).toEqual(ids.map(() => ({ status: 'success', error: null })));
      for (let i = 0; i < 12; i++) expect(provider.count(`/cut?${String(i)}&`)).toBe(ids.length);
    } finally {
      await admin.end();
      // A connection that was cut a moment ago answers 503 to whoever gets it next.
      await eventually('a pool of whole connections', async () => {
        const asks = Array.from({ length: 40 }, () => host.send({ path: '/api/plans' }));
        return (await Promise.all(asks)).every(({ status }) => status === 200);
      });
    }
  });

  it('store what a database has no place for as replacement characters', async () => {
    const answer = await run([
      {
        id: 'a',
        provider: 'code',
        action: 'javascript',
        params: {
          source: 'return "a\\\\u0000b" + String.fromCharCode(0) + String.fromCharCode(0xd800)',
        },
      },
    ]);
    expect(answer.body).toMatchObject({ status: 'success', output: 'a\\u0000b\ufffd\ufffd' });
  });

  it('tell what is wrong with an inline plan', async () => {
    const answer = await run([{ provider: 'logic', action: 'nope' }]);
    expect(answer).toMatchObject({ status: 400, body: { code: 'plan.invalid' } });
    expect(answer.body.errors[0].pointer).toBe('/plan/steps/0/action');
    expect(await host.send({ method: 'POST', path: '/api/execute', body: {} })).toMatchObject({
      status: 400,
    });
  });

  it('hides secret parameters in the log, also of a step that never ran', async () => {
    const secret = 'parameter-canary-0123';
    const post = (id: string, more: object = {}, params: object = {}) => ({
      id,
      provider: 'webhook',
      action: 'post',
      params: { url: 'https://receiver.example/', body: {}, secret, ...params },
      depends_on: [],
      on_error: 'continue',
      ...more,
    });
    const steps = [
      post('wrong', {}, { headers: { x: '${input.number}' } }),
      post('asks', { when: '${input.nothing.there} == 1' }),
      post('runs', {}, { url: 'http://127.0.0.1:9/' }),
    ];
    const run = await host.send({
      method: 'POST',
      path: '/api/execute-plan',
      body: { plan: { steps }, input: { number: 1 } },
    });
    const codes = run.body.steps.map(
      (step: { result: { error: { code: string } } }) => step.result.error.code,
    ) as string[];
    expect(codes).toEqual(['input.invalid', 'reference.missing', 'egress.denied']);
    const path = `/api/execution-logs?execution_id=${String(run.body.id)}`;
    const { body } = await host.send({ path });
    expect(body.logs).toHaveLength(3);
    for (const { input } of body.logs) expect(input.secret).toBe('***');
    expect(JSON.stringify([run.body, body])).not.toContain(secret);
  });
});

describe('a host with one place', () => {
  it('gives it to another run while one waits for its next attempt', async () => {
    const provider = await startCountingServer((_, response) => {
      json(response, 503, {}, { 'retry-after': '600' });
    });
    const host = await startTestHost({
      env: {
        STEPWELL_MAX_RUNNING_EXECUTIONS: '1',
        STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}`,
      },
    });
    try {
      const { api_key: other } = await host.createTenant('other');
      const step = { provider: 'http', action: 'request', params: { url: provider.url } };
      await host.send({
        method: 'POST',
        path: '/api/execute',
        body: { plan: { steps: [step] }, wait: 0 },
      });
      await eventually('the first attempt', () => provider.count('/') === 1);
      const run = await host.send({
        method: 'POST',
        path: '/api/execute',
        key: other,
        body: {
          plan: { steps: [{ provider: 'logic', action: 'transform', params: { value: 7 } }] },
          wait: 10,
        },
      });
      expect(run.body).toMatchObject({ status: 'success', output: 7 });
    } finally {
      await host.close();
      await provider.close();
    }
  });
});

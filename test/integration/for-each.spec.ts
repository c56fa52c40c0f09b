import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('for_each', () => {
  let host: TestHost;
  let provider: CountingServer;
  let [now, most] = [0, 0];

  beforeAll(async () => {
    provider = await startCountingServer(async ({ url, headers }, response) => {
      const hits = provider.count(url);
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5));
      now--;
      if (url.startsWith('/hold')) return;
      if (/\/odd\/\d*[13579]$/.test(url)) json(response, 422, { error: 'odd' });
      else if (url === '/once/2' && hits < 2) json(response, 422, { error: 'not yet' });
      else if (url.startsWith('/flaky') && hits < 2) json(response, 503, {});
      else json(response, 200, { url, key: headers['idempotency-key'] ?? null });
    });
    host = await startTestHost({
      env: { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}` },
    });
  });

  afterAll(async () => {
    await host.close();
    await provider.close();
  });

  const each = (path: string, rest: object = {}, params: object = {}) => ({
    id: 'each',
    provider: 'http',
    action: 'request',
    params: { method: 'GET', url: `${provider.url}${path}/\${item}`, ...params },
    for_each: '${input.list}',
    ...rest,
  });
  const run = async (steps: unknown[], list: unknown, wait = 30): Promise<Answer> =>
    await host.send({
      method: 'POST',
      path: '/api/execute-plan',
      body: { plan: { steps }, input: { list }, wait },
    });
  const logsOf = async (id: unknown, limit = 200) => {
    const path = `/api/execution-logs?execution_id=${String(id)}&limit=${String(limit)}`;
    const { body } = await host.send({ path });
    return body.logs as { iteration: number | null; status: string; attempt: number }[];
  };

  it('fans out over a hundred items and gathers their outputs in order', async () => {
    [now, most] = [0, 0];
    const forEach = { items: '${input.list}', concurrency: 20 };
    const gather = {
      id: 'gather',
      provider: 'logic',
      action: 'transform',
      params: { value: { last: '${steps.each.output[99].body.url}', all: '${steps.each.status}' } },
    };
    const answer = await run(
      [each('/fan', { for_each: forEach }, { method: 'POST' }), gather],
      range(100),
    );
    expect(answer.body).toMatchObject({
      status: 'success',
      output: { last: '/fan/99', all: 'success' },
    });
    const [step] = answer.body.steps;
    expect(step).toMatchObject({
      status: 'success',
      attempts: 1,
      iterations: { total: 100, succeeded: 100, failed: 0, running: 0 },
      result: { metadata: { items: { total: 100, succeeded: 100, failed: 0 } } },
    });
    expect(step.result.output.map((one: { body: { url: string } }) => one.body.url)).toEqual(
      range(100).map((index) => `/fan/${String(index)}`),
    );
    for (const index of range(100)) {
      expect(provider.seen.filter(({ url }) => url === `/fan/${String(index)}`)).toHaveLength(1);
    }
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(20);
    const logs = await logsOf(answer.body.id);
    expect(logs).toHaveLength(102);
    const iterations = logs.map(({ iteration }) => iteration);
    expect(iterations.filter((one) => one === null)).toHaveLength(1);
    expect(new Set(iterations)).toEqual(new Set([...range(100), null]));
  });

  it('shows what failed and goes on, or stops with its error', async () => {
    const onError = { for_each: { items: '${input.list}', on_error: 'continue' } };
    const went = await run([each('/odd', onError)], range(6));
    expect(went.body.status).toBe('success');
    expect(went.body.output.map((one: unknown) => one !== null)).toEqual([
      ...[true, false, true, false, true, false],
    ]);
    expect(went.body.steps[0]).toMatchObject({
      iterations: { total: 6, succeeded: 3, failed: 3 },
      result: {
        message: '3 of 6 items failed: 1, 3, 5',
        metadata: { items: { failed_indexes: [1, 3, 5] } },
      },
    });
    const stop = { for_each: { items: '${input.list}', concurrency: 1 } };
    const stopped = await run([each('/odd', stop)], [0, 2, 5, 6]);
    expect(stopped.body).toMatchObject({
      status: 'error',
      error: { code: 'provider.rejected', details: { index: 2, succeeded: 2, total: 4 } },
      steps: [{ status: 'error', iterations: { total: 4, succeeded: 2, failed: 1 } }],
    });
    expect(provider.count('/odd/6')).toBe(0);
  });

  it('tries each item again by itself', async () => {
    const answer = await run([each('/flaky', { retry: { backoff_ms: 5 } })], range(3));
    expect(answer.body).toMatchObject({ status: 'success', steps: [{ attempts: 2 }] });
    const attempts = (await logsOf(answer.body.id)).filter(({ iteration }) => iteration !== null);
    expect(attempts).toHaveLength(6);
  });

  it('refuses what is no list, and takes an empty one', async () => {
    const wrong = await run([each('/none')], 'a,b');
    expect(wrong.body).toMatchObject({
      status: 'error',
      error: { code: 'input.invalid', message: expect.stringContaining('${input.list}') },
      steps: [{ status: 'error', iterations: { total: null } }],
    });
    const empty = await run([each('/none')], []);
    expect(empty.body).toMatchObject({
      status: 'success',
      output: [],
      steps: [{ iterations: { total: 0, succeeded: 0 } }],
    });
    const bad = await run([each('/none', { for_each: 'list' })], []);
    expect(bad).toMatchObject({ status: 400, body: { code: 'plan.invalid' } });
    expect(bad.body.errors[0].pointer).toBe('/plan/steps/0/for_each');
  });

  it('runs as a single step', async () => {
    const step = {
      provider: 'logic',
      action: 'transform',
      params: { value: 'n${item}' },
      for_each: '${steps.list.output}',
    };
    const body = { step, step_results: { list: [1, 2] } };
    const answer = await host.send({ method: 'POST', path: '/api/execute-step', body });
    expect(answer.body).toMatchObject({ success: true, output: ['n1', 'n2'] });
  });

  it('shows how far it is, and can be cancelled in the middle', async () => {
    const forEach = { items: '${input.list}', concurrency: 2 };
    const started = await run(
      [each('/hold', { for_each: forEach }, { method: 'POST' })],
      range(5),
      0,
    );
    const path = `/api/executions/${String(started.body.id)}`;
    await eventually('the first two', () => provider.count('/hold') === 2);
    const { body } = await host.send({ path });
    expect(body.steps[0]).toMatchObject({
      status: 'running',
      result: null,
      iterations: { total: 5, succeeded: 0, failed: 0, running: 2 },
    });
    const cancelled = await host.send({ method: 'POST', path: `${path}/cancel` });
    expect(cancelled.body).toMatchObject({ status: 'cancelled', steps: [{ status: 'cancelled' }] });
    expect(provider.count('/hold')).toBe(2);
  });

  it('rests in the middle when it is paused, and goes on with the rest', async () => {
    const forEach = { items: '${input.list}', concurrency: 2 };
    const started = await run(
      [each('/slow', { for_each: forEach }, { method: 'POST' })],
      range(30),
      0,
    );
    const path = `/api/executions/${String(started.body.id)}`;
    await eventually('some items', () => provider.count('/slow') >= 4);
    await host.send({ method: 'POST', path: `${path}/pause` });
    const paused = await eventually('the rest', async () => {
      const { body } = await host.send({ path });
      return body.status !== 'running' && body;
    });
    expect(paused).toMatchObject({ status: 'paused', steps: [{ status: 'pending' }] });
    const { succeeded, failed, running } = paused.steps[0].iterations;
    expect([failed, running]).toEqual([0, 0]);
    expect(succeeded).toBe(provider.count('/slow'));
    expect(succeeded).toBeLessThan(30);
    await host.send({ method: 'POST', path: `${path}/resume` });
    await eventually('the end', async () => (await host.send({ path })).body.status === 'success');
    expect(provider.count('/slow')).toBe(30);
  });

  it('tries only what failed or had not begun when the execution is retried', async () => {
    const forEach = { items: '${input.list}', concurrency: 1 };
    const { body } = await run(
      [each('/once', { for_each: forEach }, { method: 'POST' })],
      range(4),
    );
    expect(body).toMatchObject({ status: 'error', error: { details: { index: 2 } } });
    const path = `/api/executions/${String(body.id)}`;
    await host.send({ method: 'POST', path: `${path}/retry` });
    const retried = await eventually('the end', async () => {
      const { body } = await host.send({ path });
      return body.status === 'success' && body;
    });
    const counts = range(4).map((index) => provider.count(`/once/${String(index)}`));
    expect(counts).toEqual([1, 1, 2, 1]);
    expect(retried.steps[0]).toMatchObject({
      attempts: 2,
      iterations: { total: 4, succeeded: 4, failed: 0 },
    });
    expect(retried.output).toHaveLength(4);
  });

  it('answers a thousand items without telling each of them', async () => {
    const step = {
      ...{ id: 'each', provider: 'logic', action: 'transform' },
      ...{ params: { value: { at: '${index}' } } },
      for_each: { items: '${input.list}', concurrency: 100 },
    };
    const answer = await run([step], range(1000));
    expect(answer.body).toMatchObject({ status: 'success', steps: [{ attempts: 1 }] });
    expect(answer.body.output[999]).toEqual({ at: 999 });
    expect(Object.keys(answer.body.steps[0].iterations)).toHaveLength(4);
    // The list stands in the answer twice, as the output of the step and of the execution.
    expect(JSON.stringify(answer.body).length).toBeLessThan(50_000);
  });
});

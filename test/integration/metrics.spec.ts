import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { EngineMetrics } from '../../src/execution/engine-metrics.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

const TOKEN = 'scrape-token-0123456789';
const MISSING = '01900000-0000-7000-8000-000000000000';

describe('metrics', () => {
  let host: TestHost;

  beforeAll(async () => {
    host = await startTestHost({ env: { STEPWELL_METRICS_TOKEN: TOKEN } });
  });

  afterAll(async () => {
    await host.close();
  });

  const bearer = async (token: string, path = '/metrics'): Promise<Answer> =>
    await host.send({ path, key: null, headers: { authorization: `Bearer ${token}` } });

  it('are read with the token, which opens nothing else', async () => {
    const { status, headers, body } = await bearer(TOKEN);
    expect([status, headers['content-type']]).toEqual([200, expect.stringMatching(/^text\/plain/)]);
    expect(body).toMatch(/^stepwell_database_up 1$/m);
    expect(body).toMatch(/^process_cpu_seconds_total /m);
    expect((await bearer(`${TOKEN}x`)).status).toBe(401);
    expect((await bearer(TOKEN.slice(0, -1))).status).toBe(401);
    expect((await bearer(TOKEN, '/api/plans')).status).toBe(401);
    const cookie = await host.send({
      path: '/metrics',
      key: null,
      headers: { cookie: `token=${TOKEN}` },
    });
    expect(cookie.status).toBe(401);
  });

  it('are read by operators, and by no other admin', async () => {
    expect((await host.send({ path: '/metrics' })).status).toBe(200);
    const { api_key: key } = await host.createTenant('other');
    expect((await host.send({ path: '/metrics', key })).status).toBe(403);
  });

  it('tell routes, never what stands in their paths', async () => {
    await host.send({ path: `/api/plans/${MISSING}` });
    const body = await eventually('the request', async () => {
      const { body } = await bearer(TOKEN);
      return /route="\/api\/plans\/:id",status="404"/.test(String(body)) ? String(body) : null;
    });
    expect(body).not.toContain(MISSING);
  });

  it('tell what the engine counts', async () => {
    const engine = host.app.get(EngineMetrics);
    const before = { ...engine.finished, accepted: engine.accepted };
    const steps = [{ provider: 'logic', action: 'transform', params: { template: 'x' } }];
    for (const step of [...steps, { provider: 'logic', action: 'transform', params: {} }]) {
      const body = { plan: { steps: [step] }, wait: 10 };
      await host.send({ method: 'POST', path: '/api/execute', body });
    }
    const failing = engine.timeFlush([{ entries: 2 }], () => Promise.reject(new Error('away')));
    await expect(failing).rejects.toThrow('away');
    const text = String((await bearer(TOKEN)).body);
    expect(engine.accepted).toBeGreaterThan(before.accepted);
    expect(engine.finished.success).toBe(before.success + 1);
    expect(text).toContain(`stepwell_executions_accepted_total ${String(engine.accepted)}\n`);
    const successes = `stepwell_executions_finished_total{status="success"} ${String(engine.finished.success)}\n`;
    expect(text).toContain(successes);
    expect(text).toMatch(/^stepwell_flush_failures_total 1$/m);
    expect(text).toMatch(/^stepwell_flush_seconds_bucket\{le="5"\} [1-9]/m);
    expect(text).toMatch(/^stepwell_flush_rows_total [1-9]/m);
  });
});

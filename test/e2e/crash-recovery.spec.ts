import type { ServerResponse } from 'node:http';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import {
  failToStart,
  makeHome,
  postmasterPid,
  removeHome,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

describe('after kill -9', () => {
  /** Answers nothing while it holds. */
  let provider: CountingServer;
  let isHolding = true;
  const held: ServerResponse[] = [];
  let home: string;
  let host: HostProcess;

  beforeEach(async () => {
    isHolding = true;
    held.length = 0;
    provider = await startCountingServer((_, response) => {
      if (isHolding) held.push(response);
      else json(response, 200, { ok: true });
    });
    home = makeHome();
    host = await start();
  });

  afterEach(async () => {
    await host.stop();
    await provider.close();
    await removeHome(home);
  });

  const start = async (): Promise<HostProcess> =>
    await startHostProcess(home, { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}` });
  const killAndRestart = async (): Promise<void> => {
    await host.stop('SIGKILL');
    isHolding = false;
    host = await start();
  };
  const request = (id: string, method: string) => ({
    id,
    provider: 'http',
    action: 'request',
    params: { method, url: `${provider.url}/${id}` },
  });
  const begin = async (steps: unknown[]): Promise<string> => {
    const { status, body } = await host.send('POST', '/api/execute-plan', {
      plan: { steps },
      wait: 0,
    });
    expect(status).toBe(202);
    return body.id as string;
  };
  const finished = async (id: string) =>
    await eventually(
      'the end of the execution',
      async () => {
        const { body } = await host.send('GET', `/api/executions/${id}`);
        return ['success', 'error', 'cancelled'].includes(body.status as string) && body;
      },
      20_000,
    );

  it('a run goes on after its last journalled step, and a read is simply read again', async () => {
    const before = {
      id: 'before',
      provider: 'code',
      action: 'javascript',
      params: { source: 'return 41' },
    };
    const after = {
      id: 'after',
      provider: 'code',
      action: 'javascript',
      params: { source: 'return input + 1', input: '${steps.before.output}' },
    };
    const id = await begin([before, request('read', 'GET'), after]);
    await eventually('the request', () => provider.count('/read') === 1);
    await killAndRestart();
    const execution = await finished(id);
    expect(execution).toMatchObject({ status: 'success', output: 42 });
    expect(provider.count('/read')).toBe(2);
    expect(execution.steps[0]).toMatchObject({ id: 'before', attempts: 1, status: 'success' });
  });

  it('a write that was under way ends as outcome.unknown and is not sent again', async () => {
    const id = await begin([request('write', 'POST'), request('next', 'POST')]);
    await eventually('the request', () => provider.count('/write') === 1);
    await killAndRestart();
    const execution = await finished(id);
    expect(execution).toMatchObject({ status: 'error', error: { code: 'outcome.unknown' } });
    expect(execution.steps[0]).toMatchObject({ id: 'write', status: 'error' });
    expect(provider.count('/write')).toBe(1);
    expect(provider.count('/next')).toBe(0);
    const { body } = await host.send('GET', `/api/execution-logs?execution_id=${id}`);
    expect(body.logs).toMatchObject([
      { step_id: 'write', status: 'error', error: { code: 'outcome.unknown' } },
    ]);
  });

  it('of PostgreSQL alone the host brings it back, keeps its home, and its runs go on', async () => {
    const id = await begin([request('first', 'POST'), request('second', 'POST')]);
    await eventually('the request', () => provider.count('/first') === 1);
    const postgres = postmasterPid(home) ?? 0;
    process.kill(postgres, 'SIGKILL');
    isHolding = false;
    for (const response of held) json(response, 200, { ok: true });
    const execution = await eventually(
      'the end of the execution',
      async () => {
        const { status, body } = await host.send('GET', `/api/executions/${id}`);
        return status === 200 && body.status !== 'running' && body;
      },
      25_000,
    );
    expect(execution).toMatchObject({ status: 'success' });
    expect([provider.count('/first'), provider.count('/second')]).toEqual([1, 1]);
    expect(postmasterPid(home)).not.toBe(postgres);
    expect((await failToStart(home)).stderr).toMatch(/another Stepwell host/);
  });

  it('SIGTERM lets a running step end, and the rest of its plan is taken up by the next start', async () => {
    const id = await begin([request('first', 'POST'), request('second', 'POST')]);
    await eventually('the request', () => provider.count('/first') === 1);
    isHolding = false;
    const stopping = host.stop('SIGTERM');
    for (const response of held) json(response, 200, { ok: true });
    expect(await stopping).toBe(0);
    host = await start();
    const execution = await finished(id);
    // The held request was answered during the drain, so nothing of it is unknown.
    expect(execution).toMatchObject({ status: 'success' });
    expect([provider.count('/first'), provider.count('/second')]).toEqual([1, 1]);
  });
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { advanceEngineClock } from '../support/engine-clock.js';
import { eventually } from '../support/eventually.js';
import {
  makeHome,
  removeHome,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

const ITEMS = 100;

describe('a plan of two minutes, an approval and a fan-out of a hundred', () => {
  let provider: CountingServer;
  let home: string;
  let host: HostProcess;
  /** Answers nothing from this request on. */
  let holdFrom = Infinity;

  beforeEach(async () => {
    provider = await startCountingServer((_, response) => {
      if (provider.seen.length <= holdFrom) json(response, 200, { ok: true });
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
    host = await start();
  };

  it('survives a kill of its host in each of the three', async () => {
    const { body: begun } = await host.send('POST', '/api/execute-plan', {
      plan: {
        steps: [
          { id: 'hold', provider: 'wait', action: 'delay', params: { seconds: 120 } },
          { id: 'ask', provider: 'wait', action: 'approval', params: { message: 'Look them up?' } },
          {
            ...{ id: 'look', provider: 'http', action: 'request' },
            when: '${steps.ask.output.approved}',
            params: { method: 'GET', url: `${provider.url}/\${item}` },
            for_each: { items: Array.from({ length: ITEMS }, (_, n) => n) },
          },
        ],
      },
      wait: 0,
    });
    const id = String(begun.id);
    const read = async () => (await host.send('GET', `/api/executions/${id}`)).body;
    const isWaiting = async (step: number) => {
      const { status, steps } = await read();
      return status === 'waiting' && steps[step].status === 'waiting';
    };

    await eventually('the wait', () => isWaiting(0));
    await killAndRestart();
    await advanceEngineClock(home, 60);
    await host.send('POST', `/api/executions/${id}/pause`);
    await host.send('POST', `/api/executions/${id}/resume`);
    await eventually('the wait, looked at again', () => isWaiting(0));
    expect((await read()).steps[1].status).toBe('pending');
    await advanceEngineClock(home, 121);

    await eventually('the approval', () => isWaiting(1), 20_000);
    await killAndRestart();
    expect(await isWaiting(1)).toBe(true);
    const { body: open } = await host.send('GET', `/api/waits?execution_id=${id}`);
    expect(open.waits).toMatchObject([{ step_id: 'ask', message: 'Look them up?' }]);
    const link = new URL(String(open.waits[0].url));
    holdFrom = 40;
    const said = await host.send('POST', link.pathname, { approved: true });
    expect([said.status, said.body]).toEqual([200, { status: 'resolved', execution_id: id }]);

    await eventually('the fan-out', () => provider.seen.length > holdFrom, 20_000);
    await eventually('the results of those before', async () => {
      return (await read()).steps[2].iterations?.succeeded >= holdFrom;
    });
    holdFrom = Infinity;
    await killAndRestart();
    const ended = await eventually(
      'the end',
      async () => {
        const execution = await read();
        return ['success', 'error', 'cancelled'].includes(execution.status as string) && execution;
      },
      30_000,
    );

    expect(ended).toMatchObject({
      status: 'success',
      steps: [
        { attempts: 1, status: 'success' },
        { attempts: 1, status: 'success', result: { output: { approved: true } } },
        { iterations: { total: ITEMS, succeeded: ITEMS, failed: 0 } },
      ],
    });
    // What was under way at the kill was read again, and nothing else was.
    const times = new Map<string, number>();
    for (const { url } of provider.seen) times.set(url, (times.get(url) ?? 0) + 1);
    expect([...times.keys()].sort()).toEqual(
      Array.from({ length: ITEMS }, (_, n) => `/${String(n)}`).sort(),
    );
    expect([...times.values()].filter((count) => count > 1).length).toBeLessThanOrEqual(20);
    expect(Math.max(...times.values())).toBe(2);
  });
});

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { eventually } from '../support/eventually.js';
import {
  makeHome,
  removeHome,
  startHostProcess,
  type HostProcess,
} from '../support/host-process.js';

const ITEMS = 40;

describe('for_each after kill -9', () => {
  let provider: CountingServer;
  let home: string;
  let host: HostProcess;
  /** Answers nothing from this item on. */
  let holdFrom = Infinity;

  beforeEach(async () => {
    holdFrom = Infinity;
    provider = await startCountingServer(({ url }, response) => {
      if (Number(url.split('/').at(-1)) < holdFrom) json(response, 200, { url });
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
  const begin = async (method: string, forEach: object): Promise<string> => {
    const list = {
      ...{ id: 'list', provider: 'logic', action: 'transform' },
      params: {
        value: Array.from({ length: ITEMS }, (_, n) => ({ n, name: `item ${String(n)}` })),
      },
    };
    const each = {
      ...{ id: 'each', provider: 'http', action: 'request' },
      params: { method, url: `${provider.url}/\${index}/\${item.n}` },
      for_each: { items: '${steps.list.output}', ...forEach },
    };
    const { status, body } = await host.send('POST', '/api/execute-plan', {
      plan: { steps: [list, each] },
      wait: 0,
    });
    expect(status).toBe(202);
    return body.id as string;
  };
  const killAndRestart = async (): Promise<void> => {
    await host.stop('SIGKILL');
    holdFrom = Infinity;
    host = await start();
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
  /** How often each item was asked for, by its place; its own number must agree. */
  const requests = (): number[] => {
    const counts = Array.from({ length: ITEMS }, () => 0);
    for (const { url } of provider.seen) {
      const [, index, n] = url.split('/').map(Number);
      expect(n).toBe(index);
      counts[index!]!++;
    }
    return counts;
  };

  it('sends no write twice and loses no item: each has its output, or is known to be unknown', async () => {
    holdFrom = 12;
    const id = await begin('POST', { concurrency: 2, on_error: 'continue' });
    await eventually('requests without an answer', () => provider.seen.length >= 14);
    await killAndRestart();
    const execution = await finished(id);
    expect(execution.status).toBe('success');
    expect(requests()).toEqual(Array.from({ length: ITEMS }, () => 1));
    const step = execution.steps[1];
    const missing = (step.result.output as unknown[]).flatMap((one, index) =>
      one === null ? [index] : [],
    );
    expect(missing).toEqual([12, 13]);
    expect(step.result.metadata.items.failed_indexes).toEqual([12, 13]);
    const { body } = await host.send(
      'GET',
      `/api/execution-logs?execution_id=${id}&status=error&limit=200`,
    );
    expect(body.logs.map((log: { error: { code: string } }) => log.error.code)).toEqual([
      ...['outcome.unknown', 'outcome.unknown'],
    ]);
  });

  it('reads again only what had no result', async () => {
    holdFrom = 30;
    const id = await begin('GET', { concurrency: 2 });
    await eventually('requests without an answer', () => provider.seen.length >= 32);
    await eventually('the results of all others', async () => {
      const { body } = await host.send('GET', `/api/executions/${id}`);
      return body.steps[1].iterations?.succeeded >= 30;
    });
    await killAndRestart();
    const execution = await finished(id);
    expect(execution.status).toBe('success');
    const counts = requests();
    expect(counts.every((count) => count >= 1)).toBe(true);
    expect(counts.flatMap((count, index) => (count > 1 ? [index] : []))).toEqual([30, 31]);
    expect(execution.output[39].body.url).toBe('/39/39');
  });
});

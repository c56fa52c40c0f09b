import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';

import { stepSucceeded } from '../../src/common/provider-result.js';
import { Database } from '../../src/database/database.js';
import { PgRunStore } from '../../src/execution/pg-run-store.js';
import {
  LeaseLost,
  type JournalEntry,
  type LeasedRun,
  type RunDefinition,
} from '../../src/execution/run-store.js';
import { asSuperuser } from '../support/as-superuser.js';
import { json, startCountingServer, type CountingServer } from '../support/counting-server.js';
import { ENTITIES } from '../support/entities.js';
import { eventually } from '../support/eventually.js';
import { startTestHost, type Answer, type TestHost } from '../support/test-host.js';

const ITEMS = Array.from({ length: 1_200 }, (_, n) => ({ n, text: 'é'.repeat(50) }));
const TEXT = '"é'.repeat(20_000);

interface Log {
  step_id: string;
  iteration: number | null;
  input: unknown;
  output: { $payload?: string; bytes?: number; url?: string };
}

describe('large inputs and outputs', () => {
  let provider: CountingServer;
  let host: TestHost;

  beforeAll(async () => {
    provider = await startCountingServer(({ url }, response) => {
      const n = url.split('/').at(-1);
      if (url.startsWith('/broken') && provider.count(url) === 1) json(response, 422, {});
      else json(response, 200, url === '/text' ? { text: TEXT } : { n, items: ITEMS });
    });
    host = await startTestHost({
      env: { STEPWELL_EGRESS_ALLOW: `127.0.0.1:${String(provider.port)}` },
    });
  });

  afterAll(async () => {
    await host.close();
    await provider.close();
  });

  const get = (id: string, path: string, rest: object = {}) => ({
    ...{ id, provider: 'http', action: 'request' },
    params: { method: 'GET', url: `${provider.url}${path}` },
    ...rest,
  });
  const transform = (id: string, value: unknown, rest: object = {}) => ({
    ...{ id, provider: 'logic', action: 'transform', params: { value } },
    ...rest,
  });
  const BIG = (): object => get('big', '/big');
  const USE = transform('use', '${steps.big.output.body.items[3].n}');
  const run = async (steps: unknown[], key = host.operatorKey): Promise<Answer['body']> => {
    const body = { plan: { steps }, wait: 30 };
    const answer = await host.send({ method: 'POST', path: '/api/execute-plan', key, body });
    expect([answer.body.status, answer.body.error]).toEqual(['success', null]);
    return answer.body;
  };
  const logsOf = async (id: unknown): Promise<Log[]> => {
    const { body } = await host.send({ path: `/api/execution-logs?execution_id=${String(id)}` });
    return body.logs as Log[];
  };
  const handleOf = async (id: unknown, stepId = 'big'): Promise<string> =>
    (await logsOf(id)).find((log) => log.step_id === stepId)?.output.url ?? '';
  const blobsOf = async (id: unknown): Promise<{ id: string; bytes: number }[]> =>
    await asSuperuser(
      host.database,
      'select id, bytes from execution_blobs where execution_id = $1 order by created_at',
      [id],
    );

  it('are there for later steps, whole in the execution, handles in the log', async () => {
    const execution = await run([BIG(), USE]);
    expect(execution.output).toBe(3);
    const { output } = execution.steps[0].result;
    expect(output.body.items).toEqual(ITEMS);

    const logs = await logsOf(execution.id);
    const [use, big] = logs;
    expect(use).toMatchObject({ step_id: 'use', output: 3, input: { value: 3 } });
    const blobs = await blobsOf(execution.id);
    expect(blobs).toHaveLength(1);
    const url = `/api/executions/${String(execution.id)}/payloads/${blobs[0]!.id}`;
    expect(big?.output).toEqual({ $payload: blobs[0]!.id, bytes: blobs[0]!.bytes, url });
    const bytes = Buffer.byteLength(JSON.stringify(output));
    expect(big?.output.bytes).toBe(bytes);
    const payload = await host.send({ path: url });
    expect(payload.status).toBe(200);
    expect(payload.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(payload.body).toEqual(output);
  });

  it('are inputs, too, and texts', async () => {
    const text = transform('text', '${steps.big.output.body.text}');
    const { id } = await run([get('big', '/text'), text]);
    const [log] = await logsOf(id);
    for (const [shown, value] of [
      [log?.output, TEXT],
      [log?.input as Log['output'], { value: TEXT }],
    ] as const) {
      expect(shown?.bytes).toBe(Buffer.byteLength(JSON.stringify(value)));
      expect((await host.send({ path: shown?.url ?? '' })).body).toEqual(value);
    }
  });

  it('are stored once where they are the output of the execution, too', async () => {
    const { id, output } = await run([BIG()]);
    expect(output.body.items).toEqual(ITEMS);
    expect(await blobsOf(id)).toHaveLength(1);
    const { body } = await host.send({ path: '/api/executions?limit=1' });
    expect(body.executions).toMatchObject([{ id, output: { url: await handleOf(id) } }]);
  });

  it('are seen by who sees the execution', async () => {
    const ann = await host.createUser();
    const bob = await host.createUser();
    const other = await host.createTenant('other');
    const { id } = await run([BIG()], ann.key);
    const { id: second } = await run([BIG()], ann.key);
    const path = await handleOf(id);
    const get = async (key: string, at = path): Promise<Answer> =>
      await host.send({ path: at, key });
    expect((await get(ann.key)).status).toBe(200);
    expect((await get(host.operatorKey)).status).toBe(200); // an admin of the tenant
    const payload = path.split('/').at(-1) ?? '';
    for (const [key, at] of [
      [bob.key, path],
      [other.api_key, path],
      [ann.key, `/api/executions/${String(second)}/payloads/${payload}`],
      [ann.key, `/api/executions/${String(id)}/payloads/${randomUUID()}`],
      [ann.key, `/api/executions/${String(id)}/payloads/x`],
    ] as const) {
      const answer = await get(key, at);
      expect([answer.status, answer.body.code]).toEqual([404, 'request.not_found']);
      expect(answer.headers['content-type']).toContain('application/problem+json');
    }
  });

  it('of a shared plan are seen by its members', async () => {
    const ann = await host.createUser();
    const bob = await host.createUser();
    const plan = await host.send({
      ...{ method: 'POST', path: '/api/plans', key: ann.key },
      body: { name: 'shared', visibility: 'tenant', steps: [BIG()] },
    });
    const path = `/api/plans/${String(plan.body.id)}/execute`;
    const { body } = await host.send({ method: 'POST', path, key: ann.key, body: { wait: 30 } });
    const shown = await host.send({ path: await handleOf(body.id), key: bob.key });
    expect([shown.status, shown.body.body.items]).toEqual([200, ITEMS]);
  });

  it('are copied into a fork, which has blobs of its own', async () => {
    const { id } = await run([BIG(), USE, transform('all', '${steps.big.output.body.items}')]);
    const before = provider.count('/big');
    const { body } = await host.send({
      ...{ method: 'POST', path: `/api/executions/${String(id)}/fork` },
      body: { from_step: 'all', wait: 30 },
    });
    expect(body).toMatchObject({ status: 'success', output: ITEMS });
    expect(provider.count('/big')).toBe(before);
    const [mine, theirs] = [await handleOf(body.id), await handleOf(id)];
    expect(mine).not.toBe(theirs);
    await asSuperuser(host.database, 'delete from execution_blobs where execution_id = $1', [id]);
    expect((await host.send({ path: mine })).body.body.items).toEqual(ITEMS);
    expect((await host.send({ path: theirs })).status).toBe(404);
  });

  it('are read by a run that is tried again, whose output is another then', async () => {
    const broken = get('broken', '/broken/1', { retry: { max_attempts: 1 } });
    const send = async (path: string, body: object) =>
      (await host.send({ method: 'POST', path, body })).body;
    const failed = await send('/api/execute-plan', { plan: { steps: [BIG(), broken, USE] } });
    expect(failed).toMatchObject({ status: 'error', output: { body: { items: ITEMS } } });
    await send(`/api/executions/${String(failed.id)}/retry`, {});
    await eventually('the end of the second try', async () => {
      const { body } = await host.send({ path: `/api/executions/${String(failed.id)}` });
      return body.status === 'success' && body.output === 3;
    });
    const { body } = await host.send({ path: '/api/executions?limit=1' });
    expect(body.executions).toMatchObject([{ id: failed.id, output: 3 }]);
  });

  it('of items stand one by one, and make one list', async () => {
    const each = { ...get('each', '/each/${item}'), for_each: { items: [5, 6, 7] } };
    const one = transform('one', '${steps.each.output[1].body.n}');
    const some = await run([each, one]);
    expect(some.output).toBe('6');
    expect((await blobsOf(some.id)).length).toBe(3);
    expect(some.steps[0].result.output.map((item: Answer) => item.body.n)).toEqual(['5', '6', '7']);

    const whole = await run([each]);
    expect(whole.output).toEqual(whole.steps[0].result.output);
    expect(whole.output.map((item: Answer) => item.body.items)).toEqual([ITEMS, ITEMS, ITEMS]);
  });

  it('of a plan that a step runs become the output of that step', async () => {
    const body = { name: 'child', steps: [BIG()] };
    const child = await host.send({ method: 'POST', path: '/api/plans', body });
    const call = {
      id: 'call',
      provider: 'plan',
      action: 'run',
      params: { plan_id: child.body.id },
    };
    const { id, output, steps } = await run([
      call,
      transform('use', '${steps.call.output.output.body.items[4].n}'),
    ]);
    expect(output).toBe(4);
    expect(steps[0].result.output.output.body.items).toEqual(ITEMS);
    expect(await handleOf(id, 'call')).toContain(String(id));
  });

  describe('in the store', () => {
    let source: DataSource;
    let store: PgRunStore;
    let definition: RunDefinition;
    let tenant: { id: string; user: string };

    beforeAll(async () => {
      source = new DataSource({ type: 'postgres', url: host.database.appUrl, entities: ENTITIES });
      await source.initialize();
      store = new PgRunStore(new Database(source));
      const { id } = await run([BIG(), USE]);
      const [row] = await asSuperuser<{
        definition: RunDefinition;
        tenant_id: string;
        owner_id: string;
      }>(host.database, 'select definition, tenant_id, owner_id from executions where id = $1', [
        id,
      ]);
      definition = row!.definition;
      tenant = { id: row!.tenant_id, user: row!.owner_id };
    });

    afterAll(async () => {
      await source.destroy();
    });

    const accept = async (): Promise<LeasedRun> => {
      const hostId = randomUUID();
      await asSuperuser(host.database, 'insert into hosts (id) values ($1)', [hostId]);
      const accepted = await store.accept({
        ...{ id: randomUUID(), tenantId: tenant.id, tenantName: 'default', ownerId: tenant.user },
        ...{ planId: null, planVersion: null, definition, visibility: 'private', input: {} },
        ...{
          trigger: 'manual',
          triggerData: null,
          idempotency: null,
          originId: null,
          parent: null,
          journal: [],
        },
        hostId,
      });
      if (accepted.kind !== 'new' || !accepted.run) throw new Error('not accepted');
      return accepted.run;
    };
    const big = (): JournalEntry => ({
      ...{ stepId: 'big', iteration: 0, attempt: 1, provider: 'http', action: 'request' },
      ...{ version: '1.0.0', startedAt: new Date(), finishedAt: new Date(), latencyMs: 1 },
      ...{ status: 'success', input: {}, result: stepSucceeded({ body: { items: ITEMS } }) },
    });

    it('are in the same transaction as their entry, once, however often it is written', async () => {
      const { lease } = await accept();
      await store.checkpoint(lease, [{ ...big(), status: 'started' } as JournalEntry]);
      for (let i = 0; i < 3; i++) await store.checkpoint(lease, [big()]);
      await store.finish(lease, [big()], { status: 'success', output: { items: ITEMS } });
      await store.finish(lease, [], { status: 'success', output: { items: ITEMS } });
      expect(await blobsOf(lease.executionId)).toHaveLength(2);
    });

    it('are not written by who has lost the lease', async () => {
      const { lease } = await accept();
      const stale = { ...lease, epoch: lease.epoch + 1 };
      await expect(store.checkpoint(stale, [big()])).rejects.toThrow(LeaseLost);
      expect(await blobsOf(lease.executionId)).toEqual([]);
    });

    it('are read by whoever takes the run over, and goes on with them', async () => {
      const { lease } = await accept();
      await store.checkpoint(lease, [big()]);
      const before = provider.count('/big');
      await asSuperuser(
        host.database,
        `update hosts set heartbeat_at = now() - interval '6 seconds' where id = $1`,
        [lease.hostId],
      );
      const taken = await eventually('the end of the run', async () => {
        const { body } = await host.send({ path: `/api/executions/${lease.executionId}` });
        return body.status === 'success' && body;
      });
      expect(taken.output).toBe(3);
      expect(provider.count('/big')).toBe(before);
    });
  });
});

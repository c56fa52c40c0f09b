import { beforeEach, describe, expect, it } from '@jest/globals';

import { systemClock } from '../common/clock.js';
import { DatabaseAwayError } from '../common/connection-lost.js';
import type { Database } from '../database/database.js';
import type {
  RunResult,
  RunStarts,
  StartCtx,
  StartExecution,
} from '../execution/run-starts.service.js';
import type { PlanDefinitions } from './plan-definitions.js';
import { TriggersSettings } from './triggers-settings.js';
import { WebhookCalls, type WebhookCall } from './webhook-calls.js';

const ROW = {
  ...{ path: 'hook', webhook_id: 'w', respond: 'last_step', enabled_version: 1 },
  ...{ tenant_id: 't', tenant_name: 'acme', plan_id: 'p', plan_owner_id: 'u' },
  ...{ owner_id: 'u', owner_external_id: 'ada', owner_role: 'user' },
  ...{ owner_is_operator: true, owner_is_disabled: false },
  ...{ visibility: 'private', plan_is_deleted: false },
  ...{ version: 3, author_id: 'u', author_is_admin: false },
};
const CALL: WebhookCall = {
  ...{ path: 'hook', key: undefined },
  ...{ method: 'POST', query: {}, headers: {}, body: { n: 1 } },
};

describe('a call of a webhook', () => {
  let row: Partial<typeof ROW>;
  let end: RunResult['end'];
  let isAway: boolean;
  let queries: number;
  let begun: { how: 'start' | 'runToEnd'; ctx: StartCtx; start: StartExecution }[];

  beforeEach(() => {
    row = ROW;
    end = null;
    isAway = false;
    queries = 0;
    begun = [];
  });

  const make = (spool = false): WebhookCalls => {
    const starts = {
      start: (ctx: StartCtx, start: StartExecution) => {
        begun.push({ how: 'start', ctx, start });
        return Promise.resolve({ executionId: 'e', isNew: true, status: 'queued' });
      },
      runToEnd: (ctx: StartCtx, start: StartExecution) => {
        begun.push({ how: 'runToEnd', ctx, start });
        return Promise.resolve({ executionId: 'e', status: end?.status ?? 'waiting', end });
      },
    };
    const database = {
      query: () => {
        queries++;
        return isAway ? Promise.reject(new DatabaseAwayError()) : Promise.resolve([row]);
      },
    };
    const definitions = { find: () => Promise.resolve({ steps: [], pins: {} }) };
    return new WebhookCalls(
      definitions as unknown as PlanDefinitions,
      starts as unknown as RunStarts,
      database as unknown as Database,
      new TriggersSettings(spool),
      systemClock,
    );
  };

  it('begins the current version as who made the webhook, with no rights of operators', async () => {
    row = { ...ROW, respond: 'ack' };
    const answer = await make().take({ ...CALL, key: 'k' });
    expect(answer).toEqual({ kind: 'accepted', executionId: 'e', status: 'queued' });
    expect(begun).toMatchObject([
      {
        how: 'start',
        ctx: { tenantId: 't', tenantName: 'acme', userId: 'u', role: 'user' },
        start: {
          ...{ plan: { id: 'p', version: 3 }, visibility: 'private', trigger: 'webhook' },
          ...{ input: { n: 1 }, idempotencyKey: 'webhook w k' },
        },
      },
    ]);
  });

  it('that waits is answered with the output, or with how the run stands when it has none in time', async () => {
    end = { status: 'success', output: [1], error: null };
    expect(await make().take(CALL)).toEqual({ kind: 'output', executionId: 'e', output: [1] });
    end = null;
    expect(await make().take(CALL)).toEqual({
      ...{ kind: 'accepted', executionId: 'e', status: 'waiting' },
    });
  });

  it('that waits is told what failed, and none of the details', async () => {
    const error = { code: 'provider.rejected' as const, message: 'no', retryable: false };
    end = { status: 'error', output: 'half', error: { ...error, details: { secret: 1 } } };
    const failed = make().take(CALL);
    await expect(failed).rejects.toHaveProperty('code', 'execution.failed');
    await expect(failed).rejects.toHaveProperty('extensions', {
      ...{ execution_id: 'e', error: { code: 'provider.rejected' } },
    });
    end = { status: 'cancelled', output: null, error: null };
    await expect(make().take(CALL)).rejects.toMatchObject({
      code: 'execution.cancelled',
      extensions: { execution_id: 'e', error: null },
    });
  });

  it('asks nobody about a path that can be none', async () => {
    await expect(make().take({ ...CALL, path: '../x' })).rejects.toMatchObject({
      code: 'request.not_found',
    });
    expect(queries).toBe(0);
  });

  it('is taken by what was known last while the database is away, if the spool is on', async () => {
    end = { status: 'success', output: 1, error: null };
    const [spooling, other] = [make(true), make(false)];
    for (const calls of [spooling, other]) await calls.take(CALL);
    isAway = true;
    begun = [];
    expect(await spooling.take(CALL)).toMatchObject({ kind: 'accepted', status: 'queued' });
    expect(begun.map(({ how }) => how)).toEqual(['start']);
    await expect(other.take(CALL)).rejects.toBeInstanceOf(DatabaseAwayError);
    await expect(spooling.take({ ...CALL, path: 'unknown' })).rejects.toBeInstanceOf(
      DatabaseAwayError,
    );
  });
});

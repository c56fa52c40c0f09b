import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { newId } from '../../src/common/ids.js';
import { Database } from '../../src/database/database.js';
import { storeRepeated } from '../../src/execution/spool/store-repeated.js';
import { asSuperuser } from '../support/as-superuser.js';
import { cloneDatabase, type TestDatabase } from '../support/test-database.js';
import { startTestHost, type TestHost } from '../support/test-host.js';

describe('a spooled run whose key the database knew', () => {
  let database: TestDatabase;
  let host: TestHost;

  beforeAll(async () => {
    database = await cloneDatabase();
    host = await startTestHost({ database });
  });

  afterAll(async () => {
    await host.close();
    await database.drop();
  });

  it('is told as cancelled, and is never there for a worker to take', async () => {
    const body = {
      plan: { steps: [{ provider: 'logic', action: 'transform', params: { template: 'x' } }] },
      wait: 10,
    };
    const first = (await host.send({ method: 'POST', path: '/api/execute', body })).body.id;
    const statuses = async (): Promise<unknown[]> =>
      await asSuperuser(
        database,
        `select e.status, e.origin_id, e.error->>'code' as code from executions e where e.id = $1`,
        [id],
      );
    const [owner] = await asSuperuser<{ tenant_id: string; owner_id: string }>(
      database,
      'select tenant_id, owner_id from executions where id = $1',
      [first],
    );
    const id = newId();
    const inner = host.app.get(Database);
    const seen: unknown[] = [];
    await storeRepeated(
      {
        withTenant: async (ctx, work) =>
          await inner.withTenant(ctx, async (tx) => {
            const done = await work(tx);
            // Not before all of it is there.
            seen.push(await statuses());
            return done;
          }),
      },
      {
        run: {
          ...{ id, tenantId: owner!.tenant_id, tenantName: 'default', ownerId: owner!.owner_id },
          ...{ planId: null, planVersion: null, definition: { steps: [], pins: {} } },
          ...{ visibility: 'private', trigger: 'manual', triggerData: null, input: {} },
          idempotency: { key: 'k', requestHash: 'h' },
          ...{ hostId: null, originId: null, parent: null, journal: [] },
        },
        firstId: first,
      },
    );
    expect(seen).toEqual([[]]);
    expect(await statuses()).toEqual([
      { status: 'cancelled', origin_id: first, code: 'step.cancelled' },
    ]);
  });
});

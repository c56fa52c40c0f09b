import { describe, expect, it } from '@jest/globals';

import type { DatabaseWatch } from '../../database/database-watch.js';
import type { Accepted, NewRun, RunStore } from '../run-store.js';
import { SpoolingRunStore } from './spooling-run-store.js';
import type { SpooledRun } from './spooled-run.js';
import type { Spool } from './spool.js';

const RUN: NewRun = {
  id: 'run-1',
  tenantId: 't',
  tenantName: 'tenant',
  ownerId: 'u',
  planId: 'p',
  planVersion: 1,
  definition: { steps: [], pins: {} },
  visibility: 'private',
  trigger: 'manual',
  triggerData: null,
  input: {},
  idempotency: null,
  hostId: 'host',
  originId: null,
  parent: null,
  journal: [],
};

describe('SpoolingRunStore', () => {
  const make = () => {
    const world = {
      isAway: false,
      stored: [] as NewRun[],
      spooled: [] as SpooledRun[],
      refuse: false,
    };
    const inner = {
      accept: (run: NewRun): Promise<Accepted> => {
        world.stored.push(run);
        return Promise.resolve({ kind: 'new', executionId: run.id, run: null });
      },
    } as unknown as RunStore;
    const spool = {
      append: (run: SpooledRun): Promise<void> => {
        if (world.refuse) return Promise.reject(new Error('full'));
        world.spooled.push(run);
        return Promise.resolve();
      },
    } as unknown as Spool;
    const watch = {
      get isAway() {
        return world.isAway;
      },
    } as DatabaseWatch;
    return { world, store: new SpoolingRunStore(inner, spool, watch) };
  };
  const keyed = (id: string, requestHash = 'h'): NewRun => ({
    ...RUN,
    id,
    idempotency: { key: 'k', requestHash },
  });

  it('stores while the database is there, and keeps for the queue while it is away', async () => {
    const { world, store } = make();
    await store.accept(RUN);
    world.isAway = true;
    expect(await store.accept({ ...RUN, id: 'run-2' })).toEqual({
      kind: 'new',
      executionId: 'run-2',
      run: null,
    });
    expect(world.stored.map(({ id }) => id)).toEqual(['run-1']);
    expect(world.spooled.map(({ run }) => [run.id, run.hostId])).toEqual([['run-2', null]]);
  });

  it('keeps nothing that stands on something else, or was begun already', async () => {
    const { world, store } = make();
    world.isAway = true;
    await store.accept({ ...RUN, trigger: 'step' });
    await store.accept({ ...RUN, trigger: 'sub_plan', parent: { executionId: 'x', depth: 0 } });
    await store.accept({ ...RUN, trigger: 'fork', originId: 'x' });
    await store.accept(RUN, { entries: [], end: null, ageMs: () => 1 });
    expect(world.spooled).toEqual([]);
    expect(world.stored).toHaveLength(4); // and the database says that it is away
  });

  it('gives repeated requests the execution of the first, of before the outage and of during it', async () => {
    const { world, store } = make();
    await store.accept(keyed('before'));
    world.isAway = true;
    expect(await store.accept(keyed('again'))).toEqual({ kind: 'repeated', executionId: 'before' });
    expect(await store.accept(keyed('other', 'i'))).toEqual({ kind: 'key_reused' });
    const second = { key: 'k2', requestHash: 'h' };
    const answers = await Promise.all(
      ['a', 'b'].map((id) => store.accept({ ...RUN, id, idempotency: second })),
    );
    expect(answers).toEqual([
      { kind: 'new', executionId: 'a', run: null },
      { kind: 'repeated', executionId: 'a' },
    ]);
    // Somebody else's key of that name is another one.
    const others = await store.accept({ ...RUN, id: 'c', ownerId: 'v', idempotency: second });
    expect(others).toMatchObject({ kind: 'new', executionId: 'c' });
    expect(world.spooled.map(({ run }) => run.id)).toEqual(['a', 'c']);
  });

  it('forgets a key that it could not keep', async () => {
    const { world, store } = make();
    world.isAway = true;
    world.refuse = true;
    await expect(store.accept(keyed('a'))).rejects.toThrow('full');
    world.refuse = false;
    expect(await store.accept(keyed('b'))).toMatchObject({ kind: 'new', executionId: 'b' });
  });
});

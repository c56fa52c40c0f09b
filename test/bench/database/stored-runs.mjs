import { randomUUID } from 'node:crypto';

/** What a run of three durable steps writes: it is accepted, and each step is stored when it has ended. */
export const WRITES_PER_RUN = 4;

/** A step takes up to so long. */
const STEP_MS = 10;
const INPUT = { value: { greeting: 'hello', items: [1, 2, 3] } };
const RESULT = {
  success: true,
  output: INPUT.value,
  message: 'done',
  metadata: { attempts: 1, latency_ms: 1, provider: 'logic', action: 'transform' },
  error: null,
};
const DEFINITION = {
  steps: ['one', 'two', 'three'].map((id) => ({
    id,
    provider: 'logic',
    action: 'transform',
    params: INPUT,
  })),
  pins: {},
};

/** Runs of one tenant on one host, as the engine would write them, given to a store of runs. */
export class StoredRuns {
  constructor({ tenant, hostId }) {
    this.tenant = tenant;
    this.hostId = hostId;
  }

  async accept(store, count = () => undefined) {
    const accepted = await store.accept({
      id: randomUUID(),
      tenantId: this.tenant.id,
      tenantName: 'bench',
      ownerId: this.tenant.userId,
      planId: null,
      planVersion: null,
      definition: DEFINITION,
      visibility: 'private',
      trigger: 'manual',
      triggerData: null,
      input: { name: 'bench' },
      idempotency: { key: randomUUID(), requestHash: 'bench' },
      hostId: this.hostId,
      originId: null,
      parent: null,
      journal: [],
    });
    count(1);
    return accepted.run;
  }

  async runThreeSteps(store, count) {
    const part = () => count(1 / WRITES_PER_RUN);
    const { lease } = await this.accept(store, part);
    for (const stepId of ['one', 'two']) {
      await work();
      await store.checkpoint(lease, [entry(stepId)]);
      part();
    }
    await work();
    await store.finish(lease, [entry('three')], { status: 'success', output: RESULT.output });
    part();
  }
}

async function work() {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * STEP_MS));
}

function entry(stepId) {
  const now = new Date();
  const head = { stepId, iteration: 0, provider: 'logic', action: 'transform', version: '1.0.0' };
  const times = { startedAt: now, finishedAt: now, latencyMs: 1 };
  return { ...head, ...times, attempt: 1, status: 'success', input: INPUT, result: RESULT };
}

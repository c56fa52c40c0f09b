import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 100;
const WIDE_SHARE = 0.12;
const PAUSED_SHARE = 0.08;
const CANCELLED_SHARE = 0.03;
const SAME_KEY_REQUESTS = 50;

/** What clients do meanwhile: start runs, and now and then pause or cancel one. */
export class Load {
  /** id of an execution -> what it was started for */
  accepted = new Map();
  controls = { paused: 0, cancelled: 0 };
  /** Keys that were given more than one execution. */
  splitKeys = 0;
  #isOn = true;
  #unfinished = new Set();
  #running = Promise.resolve();
  #failure = null;
  #keys = 0;

  constructor({ api, database, plans, random }) {
    Object.assign(this, { api, database, plans, random });
  }

  /** Keeps so many runs in flight until `stop`. */
  start(clients) {
    const keeping = Array.from({ length: clients }, () => this.#keepRunning());
    this.#running = Promise.all([...keeping, this.#watchEnds()]).catch((error) => {
      this.#failure = error;
    });
  }

  /** @throws what a client met that no strike explains */
  assertWell() {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Returns when every client has its last answer; their runs may still be under way. */
  async stop() {
    this.#isOn = false;
    await this.#running;
    this.assertWell();
  }

  /** Repeats the request with its key until somebody answers. */
  async run(plan, why = plan) {
    const id = await this.api.start(this.plans[plan], this.#newKey());
    this.accepted.set(id, why);
    return id;
  }

  /** One key, fifty times at once, over all hosts. */
  async runSameKey() {
    const key = this.#newKey();
    const ids = new Set(
      await Promise.all(
        Array.from({ length: SAME_KEY_REQUESTS }, () => this.api.start(this.plans.small, key)),
      ),
    );
    for (const id of ids) this.accepted.set(id, 'same key');
    if (ids.size > 1) this.splitKeys++;
  }

  async #keepRunning() {
    while (this.#isOn) {
      const id = await this.run(this.random() < WIDE_SHARE ? 'wide' : 'plain');
      this.#unfinished.add(id);
      const fate = this.random();
      if (fate < PAUSED_SHARE) await this.#pauseForAWhile(id);
      else if (fate < PAUSED_SHARE + CANCELLED_SHARE) await this.#cancel(id);
      while (this.#isOn && this.#unfinished.has(id)) await delay(POLL_MS);
    }
  }

  async #pauseForAWhile(id) {
    await delay(this.random() * 200);
    const { status } = await this.#control(id, 'pause');
    if (status === 409) return; // it was faster
    this.controls.paused++;
    await delay(this.random() * 1_000);
    // Asked until it is true: an answer that was lost may have resumed it, or not.
    for (;;) {
      const [run] = await this.database.ask(
        'select status, pause_requested from executions where id = $1',
        [id],
      );
      if (run.status !== 'paused' && !(run.status === 'running' && run.pause_requested)) return;
      await this.#control(id, 'resume');
    }
  }

  async #cancel(id) {
    await delay(this.random() * 300);
    const { status } = await this.#control(id, 'cancel');
    if (status !== 409) this.controls.cancelled++;
  }

  async #control(id, control) {
    return await this.api.send('POST', `/api/executions/${id}/${control}`, {
      body: {},
      accepts: [409],
    });
  }

  /** One question for all that clients wait for. */
  async #watchEnds() {
    while (this.#isOn) {
      const ended = await this.database.ask(
        'select id from executions where id = any ($1) and finished_at is not null',
        [[...this.#unfinished]],
      );
      for (const { id } of ended) this.#unfinished.delete(id);
      await delay(POLL_MS);
    }
  }

  #newKey() {
    return `client-${this.#keys++}`;
  }
}

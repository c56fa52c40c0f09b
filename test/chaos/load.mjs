import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 100;
const WIDE_SHARE = 0.12;
const WAITING_SHARE = 0.15;
/** Until somebody outside answers: some answers come before the step that waits for them. */
const MAX_ANSWER_MS = 1_500;
const PAUSED_SHARE = 0.08;
const CANCELLED_SHARE = 0.03;
const SAME_KEY_REQUESTS = 50;
/** Of a webhook, who wait for no end: they go on while the database is away. */
const CALLERS = 4;
const MAX_CALL_PAUSE_MS = 200;
/** Clients who wait for the end of each run, and never repeat a request. */
const WAITERS = 3;
const WAITED_SECONDS = 6;
/** A run whose pause may come late is watched for this long. */
const UNSURE_MS = 60_000;

/** What clients do meanwhile: start runs, and now and then pause or cancel one. */
export class Load {
  /** id of an execution -> what it was started for */
  accepted = new Map();
  controls = { paused: 0, cancelled: 0 };
  /** Links of waits that were answered. */
  answered = new Set();
  /** Of each key that was given more than one execution: all of them. */
  splitKeys = [];
  #isOn = true;
  #unfinished = new Set();
  #running = Promise.resolve();
  #failure = null;
  #keys = 0;

  /** @param webhook path of one; null: none is called */
  constructor({ api, database, plans, provider, random, webhook }) {
    Object.assign(this, { api, database, plans, random, webhook });
    provider.onLink.tell = (link) => {
      this.#answer(link).catch((error) => {
        this.#failure = error;
      });
    };
  }

  /** Keeps so many runs in flight until `stop`. */
  start(clients) {
    const keeping = Array.from({ length: clients }, () => this.#keepRunning());
    const callers = this.webhook === null ? 0 : CALLERS;
    const calling = Array.from({ length: callers }, () => this.#keepCalling());
    const waiting = Array.from({ length: WAITERS }, () => this.#keepWaiting());
    const all = [...keeping, ...calling, ...waiting, this.#watchEnds()];
    this.#running = Promise.all(all).catch((error) => {
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
    if (ids.size > 1) this.splitKeys.push([...ids]);
  }

  async #keepRunning() {
    while (this.#isOn) {
      const id = await this.run(this.#pickPlan());
      this.#unfinished.add(id);
      const fate = this.random();
      if (fate < PAUSED_SHARE) await this.#pauseForAWhile(id);
      else if (fate < PAUSED_SHARE + CANCELLED_SHARE) await this.#cancel(id);
      while (this.#isOn && this.#unfinished.has(id)) await delay(POLL_MS);
    }
  }

  async #keepWaiting() {
    while (this.#isOn) {
      const id = await this.api.runToEnd(this.plans.plain, WAITED_SECONDS);
      if (id !== null) this.accepted.set(id, 'waited');
      await delay(this.random() * POLL_MS);
    }
  }

  async #keepCalling() {
    while (this.#isOn) {
      const id = await this.api.call(this.webhook, this.#newKey());
      this.accepted.set(id, 'webhook');
      await delay(this.random() * MAX_CALL_PAUSE_MS);
    }
  }

  #pickPlan() {
    const share = this.random();
    if (share < WIDE_SHARE) return 'wide';
    return share < WIDE_SHARE + WAITING_SHARE ? 'waiting' : 'plain';
  }

  /** Says once what a run waits for, to whichever host answers; also after the load has ended. */
  async #answer(link) {
    if (this.answered.has(link)) return;
    this.answered.add(link);
    await delay(this.random() * MAX_ANSWER_MS);
    // Cancelled meanwhile: too late.
    await this.api.send('POST', new URL(link).pathname, { body: { n: 1 }, accepts: [409] });
  }

  async #pauseForAWhile(id) {
    await delay(this.random() * 200);
    const { status, tries } = await this.#control(id, 'pause');
    if (status === 404) return; // it is in a spool
    if (status === 409 && tries === 1) return; // it was faster
    this.controls.paused++;
    await delay(this.random() * 1_000);
    // Of a request without an answer nobody knows whether it was heard, or will be yet.
    const isSure = tries === 1;
    const deadline = performance.now() + UNSURE_MS;
    for (;;) {
      const [run] = await this.database.ask(
        'select status, pause_requested, finished_at from executions where id = $1',
        [id],
      );
      const isPaused = run.status === 'paused' || (run.status === 'running' && run.pause_requested);
      if (isPaused) await this.#control(id, 'resume');
      else if (isSure || run.finished_at !== null || performance.now() > deadline) return;
      else await delay(POLL_MS);
    }
  }

  async #cancel(id) {
    await delay(this.random() * 300);
    const { status } = await this.#control(id, 'cancel');
    if (status < 400) this.controls.cancelled++;
  }

  async #control(id, control) {
    return await this.api.send('POST', `/api/executions/${id}/${control}`, {
      body: {},
      accepts: this.webhook === null ? [409] : [404, 409],
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

import { setTimeout as delay } from 'node:timers/promises';

const GIVE_UP_MS = 60_000;
const POLL_MS = 50;
/** What was on its way when the host died is stored by then. */
const LAST_WRITES_MS = 200;

/** How long runs stand under a host that is gone. */
export class Takeovers {
  #done = [];
  #watched = [];

  constructor(database) {
    this.database = database;
  }

  /** Until no run stands under a host that was killed at `since` (performance.now()). */
  watchKilled(host, since) {
    const left = (rows) => rows.length > 0;
    this.#add(this.#watch({ since, isLeft: async () => left(await this.#runsOf(host)) }));
  }

  /** Of a host that will come back: until it has lost those runs that it held when it was stopped. */
  async watchStopped(host, since) {
    await delay(LAST_WRITES_MS);
    const held = (await this.#runsOf(host)).map(({ id }) => id);
    const isLeft = async () => (await this.#runsOf(host)).some(({ id }) => held.includes(id));
    this.#add(this.#watch({ since, isLeft }));
  }

  /** @returns when all that are watched have ended */
  async settle() {
    const failed = (await Promise.allSettled(this.#watched)).find(({ reason }) => reason);
    if (failed) throw failed.reason;
  }

  /**
   * Milliseconds of each. Those during which the database was away, or its clock jumped, are told apart: then nobody
   * can take over, or leases end early.
   */
  measured() {
    const isDisturbed = ({ since, until }) =>
      this.database.disturbances.some(({ from, to }) => since <= to && from <= until);
    const toMs = ({ since, until }) => until - since;
    return {
      counted: this.#done.filter((one) => !isDisturbed(one)).map(toMs),
      disturbed: this.#done.filter(isDisturbed).map(toMs),
    };
  }

  #add(watched) {
    watched.catch(() => undefined); // `settle` tells it
    this.#watched.push(watched);
  }

  async #watch({ since, isLeft }) {
    let hadRuns = false;
    for (;;) {
      const isAnyLeft = await isLeft();
      const until = performance.now();
      hadRuns ||= isAnyLeft;
      if (!isAnyLeft && until - since > LAST_WRITES_MS) {
        if (hadRuns) this.#done.push({ since, until });
        return;
      }
      if (until - since > GIVE_UP_MS) {
        this.#done.push({ since, until: Infinity });
        return;
      }
      await delay(POLL_MS);
    }
  }

  async #runsOf({ id }) {
    return await this.database.ask(
      `select id from executions where status = 'running' and host_id = $1`,
      [id],
    );
  }
}

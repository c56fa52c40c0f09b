/** The one clock of the engine's SQL, where it has one. */
const CLOCK = 'engine_now()';
const REAL_CLOCK = /\b(now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)/g;

/** Puts the clock that the engine's SQL asks off by any time, as a superuser may. */
export class DatabaseClock {
  #definition = null;
  #offsetMs = 0;
  #farthestMs = 0;

  constructor(database) {
    this.database = database;
  }

  /** Whether the engine asks a clock of its own; else there is nothing that could jump. */
  async canJump() {
    const [{ exists }] = await this.database.ask(
      `select to_regprocedure('${CLOCK}') is not null as exists`,
    );
    return exists;
  }

  /** @returns the expression that tells the engine's time */
  async expression() {
    return (await this.canJump()) ? CLOCK : 'now()';
  }

  /** Schedules that fired ahead of time rest until their time has come; from here on they go on. */
  async goOn() {
    if (this.#offsetMs < this.#farthestMs) await this.jump(this.#farthestMs);
  }

  async jump(offsetMs) {
    this.#offsetMs = offsetMs;
    this.#farthestMs = Math.max(this.#farthestMs, offsetMs);
    this.#definition ??= (
      await this.database.ask(`select pg_get_functiondef('${CLOCK}'::regprocedure) as text`)
    )[0].text;
    const shifted = `(pg_catalog.now() + interval '${offsetMs} milliseconds')`;
    const from = performance.now();
    await this.database.ask(
      this.#definition.replace(/\bpg_catalog\.(?=\w+\(\))/g, '').replace(REAL_CLOCK, shifted),
    );
    this.database.disturbances.push({ from, to: from });
  }
}

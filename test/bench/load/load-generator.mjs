import { join } from 'node:path';

import { Forked } from '../processes/forked.mjs';

/** Sends the requests whose answers are measured. */
export class LoadGenerator {
  #process = new Forked(join(import.meta.dirname, 'load-process.mjs'));

  get pid() {
    return this.#process.pid;
  }

  /**
   * @param job see load-process.mjs
   * @returns {Promise<{ beganAt: number, tookMs: number, sent: number, done: number, errors: number,
   *   complaints: string[], p50: number, p95: number, p99: number, max: number }>} times in milliseconds
   */
  async run(job) {
    return await this.#process.ask(job);
  }

  async close() {
    await this.#process.close();
  }
}

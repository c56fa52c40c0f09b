import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { Forked } from '../processes/forked.mjs';

const PATIENCE_MS = 60_000;

/** The local server that plans call. */
export class Target {
  #process = new Forked(join(import.meta.dirname, 'target-process.mjs'));

  get pid() {
    return this.#process.pid;
  }

  async open() {
    const port = await this.#process.ask({ kind: 'port' });
    this.address = `127.0.0.1:${port}`;
    this.url = `http://${this.address}`;
  }

  /** Counts anew. */
  async reset() {
    await this.#process.ask({ kind: 'reset' });
  }

  /** Returns when it was called so often, or holds so many answers back; at the latest after a minute. */
  async reaches({ hits = 0, held = 0 }) {
    const late = new AbortController();
    await Promise.race([
      this.#process.ask({ kind: 'wait', hits, held }),
      delay(PATIENCE_MS, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
  }

  /** @returns { hits, strays, held } until now */
  async count() {
    return await this.#process.ask({ kind: 'wait', hits: 0, held: 0 });
  }

  /** Answers what it held back. */
  async release() {
    await this.#process.ask({ kind: 'release' });
  }

  async close() {
    await this.#process.close();
  }
}

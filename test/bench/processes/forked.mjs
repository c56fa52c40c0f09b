import { fork } from 'node:child_process';

/** A script in a process of its own that answers questions; it ends with the bench. */
export class Forked {
  #child;
  #waiting = new Map();
  #lastId = 0;
  #ended = Promise.withResolvers();

  constructor(path, { args = [], execArgv = [] } = {}) {
    this.#child = fork(path, args, { execArgv });
    this.#child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
    this.#child.once('exit', (code) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`${path} ended with ${code}`));
      this.#ended.resolve();
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** @param job what it is to do, as JSON; the answer is JSON, too */
  async ask(job) {
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#waiting.set(id, { resolve, reject });
    this.#child.send({ id, job });
    return await promise;
  }

  async close() {
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended.promise;
  }
}

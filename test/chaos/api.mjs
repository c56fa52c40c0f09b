import { setTimeout as delay } from 'node:timers/promises';

import { pick } from './random.mjs';

const ANSWER_MS = 10_000;
const PAUSE_MS = 50;
const PATIENCE_MS = 120_000;

/** A client of all hosts, as an admin: whoever doesn't answer is passed over for another. */
export class Api {
  constructor({ hosts, random }) {
    Object.assign(this, { hosts, random, key: hosts.readAdminKey() });
  }

  /**
   * Repeats a request until some host has answered it for good.
   * @returns { status, body, tries }; a refusal throws unless its status is among `accepts`
   */
  async send(method, path, { body, headers, accepts = [] } = {}) {
    const deadline = performance.now() + PATIENCE_MS;
    for (let tries = 1; ; tries++) {
      const answer = await this.#sendOnce(method, path, { body, headers });
      if (answer !== null) {
        if (answer.status < 400 || accepts.includes(answer.status)) return { ...answer, tries };
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      }
      if (performance.now() > deadline) throw new Error(`nobody answers ${method} ${path}`);
      await delay(PAUSE_MS);
    }
  }

  /** @returns the id of the execution, the same however often it had to be asked for */
  async start(plan, idempotencyKey) {
    const headers = { 'idempotency-key': idempotencyKey };
    const { body } = await this.send('POST', `/api/plans/${plan}/execute`, { body: {}, headers });
    return body.id;
  }

  /**
   * Asks once, without a key, and waits for the end: such a run is walked before it is stored.
   * @returns its id; null: nobody has said whether there is one
   */
  async runToEnd(plan, seconds) {
    const answer = await this.#sendOnce('POST', `/api/plans/${plan}/execute`, {
      body: { wait: seconds },
    });
    if (answer === null || answer.status >= 500) return null;
    if (answer.status >= 400) throw new Error(`a waited run: ${JSON.stringify(answer.body)}`);
    return answer.body.id;
  }

  /** The same through a webhook. */
  async call(path, idempotencyKey) {
    const headers = { 'idempotency-key': idempotencyKey };
    const { body } = await this.send('POST', path, { body: {}, headers });
    return body.id;
  }

  /** Null: the host is gone, or can't say now. */
  async #sendOnce(method, path, { body, headers }) {
    const host = pick(this.random, this.hosts.ready());
    if (!host) return null;
    try {
      const response = await fetch(`${host.url}${path}`, {
        method,
        headers: {
          'x-api-key': this.key,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const answer = { status: response.status, body: await response.json() };
      return answer.status >= 500 || answer.status === 429 ? null : answer;
    } catch {
      return null; // killed in the middle: the next one is asked
    }
  }
}

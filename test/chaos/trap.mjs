/**
 * Kills whichever host comes to one point of the way of a run, once. What watches that point (proxies,
 * the provider) asks `takes`, and calls `spring` when the point is reached for certain.
 */
export class Trap {
  #sprung = Promise.withResolvers();
  /** Set, taken by one who waits for the rest of the point, or sprung. */
  #state = 'set';

  constructor(point) {
    this.point = point;
  }

  /** Whether it waits for this point; from now on it waits for nobody else. */
  takes(point) {
    if (this.#state !== 'set' || this.point !== point) return false;
    this.#state = 'taken';
    return true;
  }

  /** The point wasn't reached after all: the next one may take it. */
  giveBack() {
    if (this.#state === 'taken') this.#state = 'set';
  }

  spring(host) {
    host.kill();
    this.#state = 'sprung';
    this.#sprung.resolve({ host, since: performance.now() });
  }

  /** @returns the host that it killed and when, null when nobody came to the point in time */
  async wait(timeoutMs) {
    const timeout = Promise.withResolvers();
    const timer = setTimeout(() => {
      if (this.#state === 'sprung') return;
      this.#state = 'gone';
      timeout.resolve(null);
    }, timeoutMs);
    try {
      return await Promise.race([this.#sprung.promise, timeout.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Holds what comes to it until it is opened, and then lets all go at once. */
export class Gate {
  #waiting = [];
  #isOpen = false;

  /** @returns false when it is open, and nobody has to wait */
  holds(host, goOn) {
    if (this.#isOpen) return false;
    this.#waiting.push({ host, goOn });
    return true;
  }

  /** Hosts that stand before it. */
  get held() {
    return new Set(this.#waiting.map(({ host }) => host)).size;
  }

  open() {
    this.#isOpen = true;
    for (const { goOn } of this.#waiting.splice(0)) goOn();
  }
}

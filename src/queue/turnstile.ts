/** Lets through one at a time, in the order of asking. */
export class Turnstile {
  private readonly waiting: (() => void)[] = [];
  private isTaken = false;

  /** Returns when it is the caller's turn, which lasts until `leave`. */
  async enter(): Promise<void> {
    if (!this.isTaken) {
      this.isTaken = true;
      return;
    }
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  leave(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.isTaken = false;
  }
}

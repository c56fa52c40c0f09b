/**
 * CPU time of this whole process while a guest's turn runs: its thread, V8's compilers and its
 * garbage collector alike. Wall clocks won't do: on a loaded machine they charge a call for its
 * neighbours; isolated-vm's own timeout, besides, misses microtasks after the script.
 */
export class CpuMeter {
  private base = process.cpuUsage();
  private limitMs = Infinity;
  private timer: NodeJS.Timeout | null = null;
  private onExceeded: () => void = () => undefined;

  /** Begins a new account. `onExceeded` is called at most once. */
  allow(limitMs: number, onExceeded: () => void): void {
    this.base = process.cpuUsage();
    this.limitMs = limitMs;
    this.onExceeded = onExceeded;
  }

  /** Watches from now on; calls are cheap and idempotent. */
  start(): void {
    this.timer ??= setInterval(() => this.check(), TICK_MS);
  }

  /** Stops watching; what was used stays on the account. */
  stop(): void {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  /** @returns false when the account is overdrawn. */
  check(): boolean {
    const { user, system } = process.cpuUsage(this.base);
    if ((user + system) / 1000 <= this.limitMs) return true;
    this.stop();
    this.limitMs = Infinity;
    this.onExceeded();
    return false;
  }
}

const TICK_MS = 5;

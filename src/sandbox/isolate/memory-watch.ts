/**
 * Looks once a second at what memory the machine lacks. While it lacks some, and for a while after,
 * nothing should be kept ready that nobody needs: else it would come and go by the second.
 */
export class MemoryWatch {
  private timer: NodeJS.Timeout | null = null;
  private shortUntil = 0;

  constructor(
    private readonly parts: {
      missingBytes: () => number;
      /** Called once a second while there is too little. `isNew`: there was enough until now. */
      onShort: (missingBytes: number, isNew: boolean) => void;
      /** Called once a second otherwise. */
      onEnough: () => void;
      everyMs?: number;
      calmMs?: number;
    },
  ) {}

  get isShort(): boolean {
    return performance.now() < this.shortUntil;
  }

  /** Idempotent. */
  start(): void {
    this.timer ??= setInterval(() => {
      this.look();
    }, this.parts.everyMs ?? LOOK_MS).unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private look(): void {
    const missing = this.parts.missingBytes();
    if (missing <= 0) {
      if (!this.isShort) this.parts.onEnough();
      return;
    }
    const isNew = !this.isShort;
    this.shortUntil = performance.now() + (this.parts.calmMs ?? CALM_MS);
    this.parts.onShort(missing, isNew);
  }
}

const LOOK_MS = 1_000;
const CALM_MS = 30_000;

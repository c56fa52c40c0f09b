/**
 * The time that one outbound call has, and everything else that may end it early. `signal` aborts
 * with the cause as its reason; `clear` has to be called when the call is over.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #source: AbortSignal;

  constructor(
    readonly timeoutMs: number,
    source: AbortSignal,
  ) {
    this.#source = source;
    this.#timer = setTimeout(() => {
      this.end(new DOMException('deadline', 'TimeoutError'));
    }, timeoutMs);
    if (source.aborted) this.#endBySource();
    else source.addEventListener('abort', this.#endBySource, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Null while it runs; afterwards, whether time ran out or somebody ended the call. */
  get ended(): 'timed_out' | 'cancelled' | null {
    if (!this.signal.aborted) return null;
    const reason: unknown = this.signal.reason;
    return reason instanceof DOMException && reason.name === 'TimeoutError'
      ? 'timed_out'
      : 'cancelled';
  }

  end(reason: Error): void {
    this.#controller.abort(reason);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#source.removeEventListener('abort', this.#endBySource);
  }

  readonly #endBySource = (): void => {
    this.#controller.abort(this.#source.reason);
  };
}

/** Rejects when the signal aborts, with its reason; never resolves. */
export async function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}

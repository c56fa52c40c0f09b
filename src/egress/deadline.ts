/**
 * The time that one outbound call has, and everything else that may end it early. `signal` aborts
 * with the cause as its reason; `clear` has to be called when the call is over.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #sources: readonly AbortSignal[];
  readonly #endedBy: () => void;

  constructor(
    readonly timeoutMs: number,
    ...sources: AbortSignal[]
  ) {
    this.#sources = sources;
    this.#endedBy = () => {
      const source = sources.find((each) => each.aborted);
      if (source !== undefined) this.#controller.abort(source.reason);
    };
    this.#timer = setTimeout(() => {
      this.#controller.abort(new DOMException('deadline', 'TimeoutError'));
    }, timeoutMs);
    for (const source of sources) source.addEventListener('abort', this.#endedBy, { once: true });
    this.#endedBy();
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

  clear(): void {
    clearTimeout(this.#timer);
    for (const source of this.#sources) source.removeEventListener('abort', this.#endedBy);
  }
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

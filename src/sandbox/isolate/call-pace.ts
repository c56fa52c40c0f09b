import type { ChildOwner } from './pool-contract.js';

/** A call's place among those of its owner that begin. */
export interface Beginning {
  /** It has a child now: it counts for a moment longer. */
  start(): void;
  /** It waits for something, or is over. Idempotent. */
  leave(): void;
}

/**
 * Lets calls of one owner begin in step with the cores. Most calls take a millisecond of CPU: fifty that
 * begin at once, each in a child of its own, take half as much again as when a few children that stay warm
 * run them one after the other. A call counts until it waits for the host, has its result, or
 * has run for so long that it is no short one; nobody waits for the end of those. Owners don't wait for each other:
 * who gets how many children is the pool's to say.
 */
export class CallPace {
  private readonly lines = new Map<string, Line>();

  /** @param atOnce calls of one owner that begin at a time */
  constructor(
    private readonly atOnce: number,
    private readonly shortMs = SHORT_MS,
  ) {}

  /** @throws the signal's reason when it aborts before it is the call's turn */
  async enter({ tenantId, trust }: ChildOwner, signal: AbortSignal): Promise<Beginning> {
    signal.throwIfAborted();
    const key = `${trust}/${tenantId}`;
    let line = this.lines.get(key);
    if (!line) this.lines.set(key, (line = { beginning: 0, waiting: [] }));
    if (line.beginning < this.atOnce) line.beginning++;
    else await waitIn(line, signal);
    return this.begin(key, line);
  }

  /** Calls that wait for their turn. */
  get waitingCount(): number {
    let count = 0;
    for (const { waiting } of this.lines.values()) count += waiting.length;
    return count;
  }

  private begin(key: string, line: Line): Beginning {
    let timer: NodeJS.Timeout | null = null;
    let hasLeft = false;
    const leave = (): void => {
      if (hasLeft) return;
      hasLeft = true;
      if (timer) clearTimeout(timer);
      const next = line.waiting.shift();
      // The place goes to the next one in line.
      if (next) next();
      else if (--line.beginning === 0) this.lines.delete(key);
    };
    return {
      leave,
      start: () => {
        if (!hasLeft) timer ??= setTimeout(leave, this.shortMs).unref();
      },
    };
  }
}

interface Line {
  beginning: number;
  waiting: (() => void)[];
}

function waitIn(line: Line, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      line.waiting.splice(line.waiting.indexOf(turn), 1);
      reject(signal.reason as Error);
    };
    const turn = (): void => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    line.waiting.push(turn);
  });
}

/** Ten times what a short call takes. */
const SHORT_MS = 20;

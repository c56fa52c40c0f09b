import type { ProcessUsage, UsageReader } from './process-usage.js';

export interface WatchLimits {
  cpuMs: number;
  rssBytes: number;
}

export interface Watch {
  /** Charges CPU time to a new account from the next look on. */
  restart(cpuMs: number): void;
  /** What the last look saw; null before the first. */
  readonly last: ProcessUsage | null;
  stop(): void;
}

/**
 * Looks at busy children from outside, every 20 ms where that is cheap. It is the net below the
 * child's own meter: a guest inside one long built-in stops for no one but SIGKILL. Short calls are
 * over before the first look and cost nothing.
 */
export class Watchdog {
  private readonly watched = new Set<Watched>();
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly reader: UsageReader) {}

  watch(pid: number, limits: WatchLimits, onExceeded: (what: 'cpu' | 'rss') => void): Watch {
    const entry: Watched = { pid, limits: { ...limits }, onExceeded, base: null, last: null };
    this.watched.add(entry);
    this.timer ??= setInterval(() => {
      this.look();
    }, this.reader.everyMs);
    return {
      restart: (cpuMs) => {
        entry.limits.cpuMs = cpuMs;
        entry.base = null;
      },
      get last() {
        return entry.last;
      },
      stop: () => {
        this.watched.delete(entry);
        if (this.watched.size > 0 || this.timer === null) return;
        clearInterval(this.timer);
        this.timer = null;
      },
    };
  }

  private look(): void {
    for (const entry of this.watched) {
      const usage = this.reader.read(entry.pid);
      if (usage instanceof Promise) {
        void usage.then((later) => {
          if (this.watched.has(entry)) judge(entry, later);
        });
      } else judge(entry, usage);
    }
  }
}

interface Watched {
  pid: number;
  limits: WatchLimits;
  onExceeded: (what: 'cpu' | 'rss') => void;
  base: ProcessUsage | null;
  last: ProcessUsage | null;
}

function judge(entry: Watched, usage: ProcessUsage | null): void {
  if (usage === null) return;
  entry.last = usage;
  entry.base ??= usage;
  if (usage.rssBytes > entry.limits.rssBytes) entry.onExceeded('rss');
  else if (usage.cpuMs - entry.base.cpuMs > entry.limits.cpuMs) entry.onExceeded('cpu');
}

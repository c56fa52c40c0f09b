import type { Walked, Walks } from './host-places.js';
import type { RunOutcome } from './run-store.js';
import type { WalkActivity } from './walk.js';

export interface WalkingRun {
  tenantId: string;
  /** Kills it: the run is no longer this host's. */
  abort: AbortController;
  /** Lets what runs of it end, and nothing new begin. */
  pause: AbortController;
  activity: WalkActivity;
  /** How it ended, durable; null when it stopped being walked here without an end. */
  ended: Promise<RunOutcome | null>;
}

/** The runs that this host walks, by execution id, and who waits for one to come here. */
export class WalkingRuns implements Walks {
  private readonly runs = new Map<string, WalkingRun>();
  private readonly byTenant = new Map<string, number>();
  private readonly awaited = new Map<string, PromiseWithResolvers<undefined>>();

  get size(): number {
    return this.runs.size;
  }

  sizeOf(tenantId: string): number {
    return this.byTenant.get(tenantId) ?? 0;
  }

  list(): Walked[] {
    return [...this.runs.values()].map(({ tenantId, activity }) => ({
      tenantId,
      isResting: activity.isResting(),
    }));
  }

  get ids(): string[] {
    return [...this.runs.keys()];
  }

  get all(): WalkingRun[] {
    return [...this.runs.values()];
  }

  /** Those that others know of. */
  get stored(): Map<string, WalkingRun> {
    return new Map([...this.runs].filter(([, { activity }]) => activity.isStored()));
  }

  find(executionId: string): WalkingRun | null {
    return this.runs.get(executionId) ?? null;
  }

  add(executionId: string, run: WalkingRun): void {
    this.remove(executionId, this.runs.get(executionId));
    this.runs.set(executionId, run);
    this.byTenant.set(run.tenantId, this.sizeOf(run.tenantId) + 1);
    this.awaited.get(executionId)?.resolve(undefined);
  }

  /** Forgets a walk, unless another one has begun of the same run. */
  remove(executionId: string, run: WalkingRun | undefined): void {
    if (!run || this.runs.get(executionId) !== run) return;
    this.runs.delete(executionId);
    const left = this.sizeOf(run.tenantId) - 1;
    if (left > 0) this.byTenant.set(run.tenantId, left);
    else this.byTenant.delete(run.tenantId);
  }

  /** Resolves when this host begins to walk a run, or when `until` does. */
  async whenBegun(executionId: string, until: Promise<unknown>): Promise<void> {
    const awaited = this.awaited.get(executionId) ?? Promise.withResolvers<undefined>();
    this.awaited.set(executionId, awaited);
    await Promise.race([awaited.promise, until]);
    if (this.awaited.get(executionId) === awaited) this.awaited.delete(executionId);
  }
}

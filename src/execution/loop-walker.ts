import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Clock } from '../common/clock.js';
import type { JsonValue } from '../common/json.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import { listItems } from '../plans/rules/for-each-items.js';
import type { ForEach, PlanStep } from '../plans/rules/plan-definition.js';
import type { LoopState } from './loop-state.js';
import type { PlaceWalker } from './place-walker.js';
import { WHOLE_STEP } from './run-store.js';
import { entryHead, hasStopped, latencySince, type Walk } from './walk.js';

/** Takes a step with `for_each` through its items, as many at once as it allows. */
export class LoopWalker {
  constructor(
    private readonly places: PlaceWalker,
    private readonly clock: Clock,
  ) {}

  /** Ends when the step has a result, or when the walk stops before it has. @throws LeaseLost */
  async walk(walk: Walk, step: PlanStep, forEach: ForEach): Promise<void> {
    const { state, journal } = walk;
    const loop = state.loopOf(step.id);
    const begin = this.clock.monotonic();
    const found = listItems(forEach, state.scope, state.meter);
    if (!found.ok) {
      await this.end(walk, step, { result: found.result, input: {}, begin });
      return;
    }
    const { items } = found;
    const total = items.length;
    const input = { total };
    if (loop.total !== null && loop.total !== total) {
      await this.end(walk, step, { result: changedResult(loop.total, total), input, begin });
      return;
    }
    if (total > 0 && !loop.isUnderWay) await this.begin(walk, step, input);
    const hasEffects = await this.walkItems(walk, step, { items, forEach, loop });
    if (hasEffects === null) return;
    const result = loop.summarise(total, forEach.onError);
    await this.end(walk, step, { result, input, begin });
    // The last result of a run is written together with its end.
    if (result.success && hasEffects && !state.isLast(step.id)) await journal.flush();
  }

  /** A step that has its result, or fails before its first item. @throws LeaseLost */
  async end(
    walk: Walk,
    step: PlanStep,
    { result, input, begin }: { result: ProviderResult; input: JsonValue; begin: number },
  ): Promise<void> {
    const head = this.head(walk, step);
    const now = this.clock.now();
    const { startedAt } = walk.state.loopOf(step.id);
    const latencyMs = startedAt ? latencySince(startedAt, now) : this.clock.monotonic() - begin;
    const { provider, action, version } = head;
    const told = { latency_ms: Math.round(latencyMs), provider, action, version };
    const metadata = { ...result.metadata, ...told };
    const status = result.success ? 'success' : 'error';
    walk.state.settle(step.id, { status, result: { ...result, metadata } });
    await walk.journal.add({
      ...{ ...head, status, input, latencyMs },
      // The outputs stand in the entries of the items: together they may be more than one row takes.
      result: { ...result, metadata, output: null },
      finishedAt: new Date(now),
    });
  }

  /** How many items there are is durable before the first begins, for whoever takes over or looks on. */
  private async begin(walk: Walk, step: PlanStep, input: JsonValue): Promise<void> {
    const entry = { ...this.head(walk, step), status: 'started' as const, input };
    walk.state.loopOf(step.id).begin(entry);
    await walk.journal.add(entry);
    await walk.journal.flush();
  }

  /** @returns whether any had an effect; null when the walk stopped before all were done */
  private async walkItems(
    walk: Walk,
    step: PlanStep,
    list: { items: readonly JsonValue[]; forEach: ForEach; loop: LoopState },
  ): Promise<boolean | null> {
    const { items, forEach, loop } = list;
    const progress = { next: 0, hasEffects: false, isCutShort: false };
    const isOver = (): boolean =>
      loop.doneCount === items.length || (forEach.onError === 'stop' && loop.failedCount > 0);
    const work = async (): Promise<void> => {
      while (!isOver() && !hasStopped(walk)) {
        while (loop.isDone(progress.next)) progress.next++;
        if (progress.next >= items.length) return;
        const index = progress.next++;
        const scope = walk.state.scopeOf({ item: items[index] ?? null, index });
        const end = await this.places.walk(walk, { step, iteration: index, scope });
        if (end === null) {
          progress.isCutShort = true;
          return;
        }
        loop.record(index, end.result);
        // Those that wait for something outside may wait for long, and nobody needs them any more.
        if (isOver()) walk.room.abandon(step.id);
        progress.hasEffects ||= end.effects === 'write';
        if (end.result.success && end.effects === 'write' && !isOver()) await walk.journal.flush();
        // Items that wait for nothing outside must not keep the host from its other runs.
        await nextTurn();
      }
    };
    const workers = Math.min(forEach.concurrency, items.length - loop.doneCount);
    const { room } = walk;
    let atWork = workers;
    const working = Array.from({ length: workers }, async () => {
      room.enter();
      try {
        await work();
      } catch (error) {
        walk.abort();
        throw error;
      } finally {
        // The last hands over to the step itself, so that the walk never seems to rest between the two.
        if (--atWork === 0) room.enter();
        room.leave();
      }
    });
    if (workers > 0) room.leave();
    await Promise.allSettled(working);
    await Promise.all(working);
    return progress.isCutShort || !isOver() ? null : progress.hasEffects;
  }

  private head(walk: Walk, step: PlanStep) {
    const { attempt } = walk.state.loopOf(step.id);
    const now = this.clock.now();
    return entryHead(walk, { step, iteration: WHOLE_STEP }, { attempt, now });
  }
}

/** Somebody had a step before it tried again, and it gave something else than the first time. */
function changedResult(before: number, now: number): ProviderResult {
  return stepFailed(
    'engine.failed',
    `for_each: its list has ${String(now)} items, and had ${String(before)} when the step began; run the plan again from its start`,
    { retryable: false },
  );
}

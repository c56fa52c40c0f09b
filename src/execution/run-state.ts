import type { JsonValue } from '../common/json.js';
import { Meter } from '../common/expression/meter.js';
import { estimateJsonSize } from '../common/expression/values.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import { normaliseSteps, type PlanStep } from '../plans/rules/plan-definition.js';
import {
  referenceScope,
  type ReferenceValues,
  type StepResult,
} from '../plans/rules/reference-scope.js';
import { nextMove, type NextMove } from '../plans/rules/step-loop.js';
import type { Scope } from '../common/expression/read-path.js';
import { LoopState, type LoopEnd } from './loop-state.js';
import { attemptKey, WHOLE_STEP, type JournalEntry, type LeasedRun } from './run-store.js';

/** All outputs of a run are in memory while it is walked. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** About two seconds of CPU, spread over the turns of a run. */
const MAX_EXPRESSION_STEPS = 10_000_000;

/** Attempts that a place has behind it when its walk begins: before a takeover, a pause or a retry. */
export interface EarlierAttempts {
  last: number;
  /** Those up to this one don't count any more. */
  forgiven: number;
  /** Of the last attempt, where that counts. */
  failure: ProviderResult | null;
}

/**
 * Where one run stands, in memory: what its steps gave and what runs. Built from the journal, so that
 * a taken-over run goes on after its last entry.
 */
export class RunState {
  readonly steps: readonly PlanStep[];
  readonly results = new Map<string, StepResult>();
  readonly running = new Set<string>();
  /** What a single step may refer to: steps that ran elsewhere. */
  private readonly given = new Map<string, StepResult>();
  /** Shared by all conditions and references of the run; each has a budget of its own as well. */
  readonly meter = new Meter({ maxSteps: MAX_EXPRESSION_STEPS, maxSize: MAX_OUTPUT_BYTES });
  /** What a takeover has to add to the journal. */
  private recovered: JournalEntry[] = [];
  private outputBytes = 0;
  private readonly loops = new Map<string, LoopState>();
  /** By `attemptKey`. */
  private readonly earlier = new Map<string, EarlierAttempts>();

  constructor(readonly run: LeasedRun) {
    this.steps = normaliseSteps(run.definition.steps);
    for (const { id, forEach } of this.steps) {
      if (forEach) this.loops.set(id, new LoopState());
    }
    for (const [id, result] of Object.entries(run.definition.given ?? {})) {
      this.given.set(id, { status: result.success ? 'success' : 'error', result });
    }
    for (const entry of run.journal) this.recover(entry);
    for (const [stepId, loop] of this.loops) this.recoverEnd(stepId, loop);
  }

  /** In which the references of a step are evaluated. */
  get scope(): Scope {
    return referenceScope(this.values);
  }

  /** The same for one item of its `for_each`. */
  scopeOf(iteration: { item: JsonValue; index: number }): Scope {
    return referenceScope({ ...this.values, iteration });
  }

  nextMove(): NextMove {
    return nextMove(this.steps, { results: this.results, running: this.running });
  }

  earlierAttempts(key: string): EarlierAttempts | null {
    return this.earlier.get(key) ?? null;
  }

  /** Whether the step had an attempt that counts, or an item, before this walk. */
  hasBegun({ id, forEach }: PlanStep): boolean {
    if (forEach) return this.loopOf(id).isUnderWay;
    return (this.earlier.get(attemptKey({ stepId: id, iteration: 0 }))?.failure ?? null) !== null;
  }

  loopOf(stepId: string): LoopState {
    const loop = this.loops.get(stepId);
    if (!loop) throw new Error(`step ${stepId} has no for_each`);
    return loop;
  }

  settle(stepId: string, result: StepResult): void {
    this.results.set(stepId, result);
  }

  /**
   * A result as it is, its output counted from now on, or an error in its place when that is more
   * than a run may hold.
   */
  fit(result: ProviderResult): ProviderResult {
    if (!result.success) return result;
    const bytes = estimateJsonSize(result.output, MAX_OUTPUT_BYTES);
    if (this.outputBytes + bytes <= MAX_OUTPUT_BYTES) {
      this.outputBytes += bytes;
      return result;
    }
    return stepFailed(
      'engine.too_large',
      `the outputs of this execution's steps take more than ${String(MAX_OUTPUT_BYTES / 2 ** 20)} MiB together; let steps give only what later ones need`,
      { metadata: result.metadata },
    );
  }

  /** Whether a step that has its result was the last to get one. */
  isLast(stepId: string): boolean {
    const others = [...this.running].filter((id) => id !== stepId);
    return others.length === 0 && this.results.size === this.steps.length;
  }

  takeRecovered(): JournalEntry[] {
    const entries = this.recovered;
    this.recovered = [];
    return entries;
  }

  private get values(): ReferenceValues {
    return {
      steps: this.steps,
      results: this.given.size === 0 ? this.results : new Map([...this.given, ...this.results]),
      input: this.run.input,
      executionId: this.run.lease.executionId,
    };
  }

  private recover(entry: JournalEntry): void {
    const loop = this.loops.get(entry.stepId) ?? null;
    if (entry.status === 'skipped') this.settle(entry.stepId, { status: 'skipped' });
    else if (loop && entry.iteration === WHOLE_STEP) loop.begin(entry);
    else if (entry.status === 'success') {
      const { result } = entry;
      this.outputBytes += estimateJsonSize(result.output, MAX_OUTPUT_BYTES);
      if (loop) loop.record(entry.iteration, result);
      else this.settle(entry.stepId, { status: 'success', result });
    } else if (entry.status === 'started') this.endUnknown(entry, loop);
    else this.recoverFailure(entry, loop);
  }

  private recoverFailure(
    entry: Extract<JournalEntry, { status: 'success' | 'error' }>,
    loop: LoopState | null,
  ): void {
    const { result } = entry;
    const isForgiven = this.remember(entry, result);
    // Items whose last attempt it was don't begin before it is known that one of them has failed.
    const isFinal = result.metadata['next_attempt_in_ms'] === undefined;
    if (loop && isFinal && !isForgiven) loop.record(entry.iteration, result);
  }

  /** An intent without a result: its effect may have happened, so it is told and never sent again. */
  private endUnknown(
    entry: Extract<JournalEntry, { status: 'started' }>,
    loop: LoopState | null,
  ): void {
    const result = stepFailed(
      'outcome.unknown',
      'its host was lost while this step ran, so its effect may or may not have happened; look at the provider, and run the plan again only if it has not',
      {
        metadata: {
          attempts: entry.attempt,
          provider: entry.provider,
          action: entry.action,
          version: entry.version,
        },
      },
    );
    const finishedAt = entry.startedAt;
    this.recovered.push({ ...entry, status: 'error', result, latencyMs: 0, finishedAt });
    if (this.remember(entry, result)) return;
    if (loop) loop.record(entry.iteration, result);
    else this.settle(entry.stepId, { status: 'error', result });
  }

  /** @returns whether somebody looked at this failure and decided to try again */
  private remember(entry: JournalEntry, failure: ProviderResult): boolean {
    const key = attemptKey(entry);
    const forgiven = this.run.forgiven[key] ?? 0;
    const isForgiven = entry.attempt <= forgiven;
    const last = entry.attempt;
    this.earlier.set(key, { last, forgiven, failure: isForgiven ? null : failure });
    return isForgiven;
  }

  /** A `for_each` that had ended, after all of its items are known. */
  private recoverEnd(stepId: string, loop: LoopState): void {
    const { ended } = loop;
    if (!ended || (ended.status === 'error' && this.isForgiven(ended, loop))) return;
    const output = ended.status === 'success' ? loop.listOutputs(loop.total ?? 0) : null;
    this.settle(stepId, { status: ended.status, result: { ...ended.result, output } });
  }

  /** Whether the end of a `for_each` doesn't count: that itself, or the item that it is about. */
  private isForgiven(ended: LoopEnd, loop: LoopState): boolean {
    if (ended.attempt <= (this.run.forgiven[attemptKey(ended)] ?? 0)) return true;
    const index = ended.result.error?.details?.['index'];
    return typeof index === 'number' && !loop.hasFailedAt(index);
  }
}

import { isJsonObject, type JsonValue } from '../common/json.js';
import { Meter } from '../common/expression/meter.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import { normaliseSteps, type PlanStep } from '../plans/rules/plan-definition.js';
import {
  referenceScope,
  type ReferenceValues,
  type StepResult,
} from '../plans/rules/reference-scope.js';
import { nextMove, type NextMove } from '../plans/rules/step-loop.js';
import type { Scope } from '../common/expression/read-path.js';
import { BlobHandle } from './blobs/blob-handle.js';
import type { PayloadCache } from './blobs/payload-cache.js';
import { MAX_IN_ROW_OUTPUT_BYTES, RunOutputs } from './blobs/run-outputs.js';
import { LoopState, type LoopEnd } from './loop-state.js';
import {
  attemptKey,
  WHOLE_STEP,
  type JournalEntry,
  type LeasedRun,
  type RunOutcome,
} from './run-store.js';
import type { WaitingEntry } from './waits/wait-walker.js';

/** About two seconds of CPU, spread over the turns of a run. */
const MAX_EXPRESSION_STEPS = 10_000_000;

/** Attempts that a place has behind it when its walk begins: before a takeover, a pause or a retry. */
export interface EarlierAttempts {
  last: number;
  /** Those up to this one don't count any more. */
  forgiven: number;
  /** Of the last attempt, where that counts. */
  failure: ProviderResult | null;
  /** When the first that counts began, milliseconds since the epoch. */
  firstAt: number | null;
  /** When the next one is due, milliseconds since the epoch, where that was decided. */
  nextAttemptAt: number | null;
  /** The execution that the place ran a plan in. */
  childId: string | null;
}

/**
 * Where one run stands, in memory: what its steps gave and what runs. Built from the journal, so that
 * a taken-over run goes on after its last entry.
 */
export class RunState {
  readonly steps: readonly PlanStep[];
  readonly outputs: RunOutputs;
  readonly running = new Set<string>();
  /** What a single step may refer to: steps that ran elsewhere. */
  private readonly given = new Map<string, StepResult>();
  /** Shared by all conditions and references of the run; each has a budget of its own as well. */
  readonly meter = new Meter({ maxSteps: MAX_EXPRESSION_STEPS, maxSize: MAX_IN_ROW_OUTPUT_BYTES });
  /** What a takeover has to add to the journal. */
  private recovered: JournalEntry[] = [];
  private readonly loops = new Map<string, LoopState>();
  /** Places that waited when the walk began, by `attemptKey`. */
  private readonly openWaits = new Map<string, WaitingEntry>();
  /** By `attemptKey`. */
  private readonly earlier = new Map<string, EarlierAttempts>();
  private hasBeenNamed = false;

  /**
   * @param waitUrlOf where a wait of the run is resolved from outside
   * @param payloads large outputs of this and other runs that were used last
   */
  constructor(
    readonly run: LeasedRun,
    private readonly waitUrlOf: NonNullable<ReferenceValues['waitUrlOf']>,
    payloads: PayloadCache,
  ) {
    this.steps = normaliseSteps(run.definition.steps);
    this.outputs = new RunOutputs(run.lease.executionId, this.steps, payloads);
    for (const { id: stepId, forEach } of this.steps) {
      if (!forEach) continue;
      const keep = (iteration: number, output: JsonValue): JsonValue | BlobHandle =>
        this.outputs.keep({ stepId, iteration }, output);
      this.loops.set(stepId, new LoopState(keep));
    }
    for (const [id, result] of Object.entries(run.definition.given ?? {})) {
      this.given.set(id, { status: result.success ? 'success' : 'error', result });
    }
    for (const entry of run.journal) this.recover(entry);
    for (const [stepId, loop] of this.loops) this.recoverEnd(stepId, loop);
  }

  get results(): ReadonlyMap<string, StepResult> {
    return this.outputs.results;
  }

  /** In which the references of a step are evaluated. */
  get scope(): Scope {
    return referenceScope(this.valuesWith({}));
  }

  /** The same for one item of its `for_each`. */
  scopeOf(iteration: { item: JsonValue; index: number }): Scope {
    return referenceScope(this.valuesWith({ iteration }));
  }

  /** Whether steps were given the id of the execution or a link to one of its waits: whoever they pass it on to may use it. */
  get isNamed(): boolean {
    return this.hasBeenNamed;
  }

  nextMove(): RunMove {
    const move = nextMove(this.steps, { results: this.results, running: this.running });
    if (move.kind === 'continue') return move;
    return { kind: 'finish', outcome: this.outputs.complete(move.outcome) };
  }

  /** Whether a failure ends the run, so that nothing new begins. */
  get isFailing(): boolean {
    return this.steps.some(
      ({ id, onError }) => onError === 'stop' && this.results.get(id)?.status === 'error',
    );
  }

  /** What a place waited for when the walk began; the first who asks takes it up. */
  takeOpenWait(key: string): WaitingEntry | null {
    const entry = this.openWaits.get(key) ?? null;
    this.openWaits.delete(key);
    return entry;
  }

  /** An attempt that waits, before this walk or in it: another one of the same place counts on from it. */
  noteAttempt(entry: WaitingEntry): void {
    const key = attemptKey(entry);
    const { wait, attempt } = entry;
    const childId = wait.kind === 'plan' ? wait.childId : null;
    const forgiven = this.run.forgiven[key] ?? 0;
    this.earlier.set(key, {
      ...{ last: attempt, forgiven, childId },
      ...{ failure: null, firstAt: null, nextAttemptAt: null },
    });
  }

  earlierAttempts(key: string): EarlierAttempts | null {
    return this.earlier.get(key) ?? null;
  }

  /** Whether the step had an attempt that counts, or an item, before this walk. */
  hasBegun({ id, forEach }: PlanStep): boolean {
    if (forEach) return this.loopOf(id).isUnderWay;
    const key = attemptKey({ stepId: id, iteration: 0 });
    return this.openWaits.has(key) || (this.earlier.get(key)?.failure ?? null) !== null;
  }

  loopOf(stepId: string): LoopState {
    const loop = this.loops.get(stepId);
    if (!loop) throw new Error(`step ${stepId} has no for_each`);
    return loop;
  }

  /** @param handle where the output stands, if it isn't in the result */
  settle(stepId: string, result: StepResult, handle: BlobHandle | null = null): void {
    const loop = this.loops.get(stepId);
    let kept: Parameters<RunOutputs['settle']>[2] = handle;
    if (result.status !== 'success') kept = null;
    else if (loop) kept = loop.heldList(loop.total ?? 0);
    else if (handle === null) {
      const output = this.outputs.keep({ stepId, iteration: 0 }, result.result.output);
      if (output instanceof BlobHandle) kept = output;
    }
    this.outputs.settle(stepId, result, kept);
  }

  /**
   * A result as it is, its output counted from now on, or an error in its place when that is more
   * than a run may hold.
   */
  fit(result: ProviderResult): ProviderResult {
    if (!result.success) return result;
    const refusal = this.outputs.admit(result.output);
    if (refusal === null) return result;
    return stepFailed('engine.too_large', refusal, { metadata: result.metadata });
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

  private valuesWith(more: Pick<ReferenceValues, 'iteration'>): ReferenceValues {
    const name = <T>(what: T): T => {
      this.hasBeenNamed = true;
      return what;
    };
    const { executionId } = this.run.lease;
    return {
      ...more,
      steps: this.steps,
      results: this.given.size === 0 ? this.results : new Map([...this.given, ...this.results]),
      input: this.run.input,
      ...(this.run.triggerData && { trigger: { body: this.run.input, ...this.run.triggerData } }),
      get executionId() {
        return name(executionId);
      },
      waitUrlOf: (stepId, iteration) => name(this.waitUrlOf(stepId, iteration)),
    };
  }

  private recover(entry: JournalEntry): void {
    const loop = this.loops.get(entry.stepId) ?? null;
    this.openWaits.delete(attemptKey(entry));
    if (entry.status === 'waiting') {
      this.openWaits.set(attemptKey(entry), entry);
      this.noteAttempt(entry);
    } else if (entry.status === 'skipped') this.settle(entry.stepId, { status: 'skipped' });
    else if (loop && entry.iteration === WHOLE_STEP) loop.begin(entry);
    else if (entry.status === 'success') {
      const { result } = entry;
      const handle = entry.blobs?.output ?? null;
      this.outputs.recount(handle ?? result.output);
      if (loop) loop.record(entry.iteration, result, handle);
      else this.settle(entry.stepId, { status: 'success', result }, handle);
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
    const earlier = this.earlier.get(key);
    this.earlier.set(key, {
      ...{ last: entry.attempt, forgiven, failure: isForgiven ? null : failure },
      firstAt: isForgiven ? null : (earlier?.firstAt ?? entry.startedAt.getTime()),
      nextAttemptAt: isForgiven ? null : nextAttemptAt(entry, failure),
      // Once it has one, no other is ever started in its place, whatever made an attempt fail.
      childId: childIdIn(failure) ?? earlier?.childId ?? null,
    });
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

/** As `nextMove` says, with the output as it is kept. */
export type RunMove =
  | Extract<NextMove, { kind: 'continue' }>
  | { readonly kind: 'finish'; readonly outcome: RunOutcome };

/** Where a failure tells of the execution that its step ran a plan in: by its result, or by what it waited for. */
function childIdIn({ metadata }: ProviderResult): string | null {
  const { execution_id: told, wait } = metadata;
  if (typeof told === 'string') return told;
  // Cancelled together with its run: nobody was there to say more.
  const childId = isJsonObject(wait) ? wait['childId'] : undefined;
  return typeof childId === 'string' ? childId : null;
}

function nextAttemptAt(entry: JournalEntry, { metadata }: ProviderResult): number | null {
  const delayMs = metadata['next_attempt_in_ms'];
  if (!('finishedAt' in entry) || typeof delayMs !== 'number') return null;
  return entry.finishedAt.getTime() + delayMs;
}

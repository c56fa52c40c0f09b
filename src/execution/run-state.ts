import type { JsonValue } from '../common/json.js';
import { Meter } from '../common/expression/meter.js';
import { estimateJsonSize } from '../common/expression/values.js';
import { stepFailed, type ProviderResult } from '../common/provider-result.js';
import { normaliseSteps, type PlanStep } from '../plans/rules/plan-definition.js';
import { referenceScope, type StepResult } from '../plans/rules/reference-scope.js';
import { nextMove, type NextMove } from '../plans/rules/step-loop.js';
import type { Scope } from '../common/expression/read-path.js';
import type { JournalEntry, LeasedRun } from './run-store.js';

/** All outputs of a run are in memory while it is walked. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** About two seconds of CPU, spread over the turns of a run. */
const MAX_EXPRESSION_STEPS = 10_000_000;

type Result = Extract<JournalEntry, { status: 'success' | 'error' }>;

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
  /** The last attempt of steps that failed before the takeover and may be tried again. */
  private readonly failedBefore = new Map<string, Result>();

  constructor(readonly run: LeasedRun) {
    this.steps = normaliseSteps(run.definition.steps);
    for (const [id, result] of Object.entries(run.definition.given ?? {})) {
      this.given.set(id, { status: result.success ? 'success' : 'error', result });
    }
    for (const entry of run.journal) this.recover(entry);
  }

  get scope(): Scope {
    return referenceScope({
      steps: this.steps,
      results: this.given.size === 0 ? this.results : new Map([...this.given, ...this.results]),
      input: this.run.input,
      executionId: this.run.lease.executionId,
    });
  }

  nextMove(): NextMove {
    return nextMove(this.steps, { results: this.results, running: this.running });
  }

  /** The failure that a step had when its former host died: the next attempt goes on from there. */
  earlierFailure(stepId: string): Result | null {
    return this.failedBefore.get(stepId) ?? null;
  }

  settle(stepId: string, result: StepResult): void {
    this.results.set(stepId, result);
    if (result.status === 'success')
      this.outputBytes += estimateJsonSize(result.result.output, MAX_OUTPUT_BYTES);
  }

  /** A result as it is, or an error in its place when its output is more than a run may hold. */
  fit(result: ProviderResult): ProviderResult {
    if (!result.success) return result;
    if (this.outputBytes + estimateJsonSize(result.output, MAX_OUTPUT_BYTES) <= MAX_OUTPUT_BYTES)
      return result;
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

  private recover(entry: JournalEntry): void {
    switch (entry.status) {
      case 'success':
        this.settle(entry.stepId, { status: 'success', result: entry.result });
        break;
      case 'skipped':
        this.settle(entry.stepId, { status: 'skipped' });
        break;
      case 'error':
        this.failedBefore.set(entry.stepId, entry);
        break;
      case 'started':
        this.endUnknown(entry);
    }
  }

  /** An intent without a result: its effect may have happened, so it is told and never sent again. */
  private endUnknown(entry: JournalEntry & { input: JsonValue }): void {
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
    this.settle(entry.stepId, { status: 'error', result });
    const finishedAt = entry.startedAt;
    this.recovered.push({ ...entry, status: 'error', result, latencyMs: 0, finishedAt });
  }
}

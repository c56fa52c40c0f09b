import type { JsonValue } from '../common/json.js';
import { stepFailed } from '../common/provider-result.js';
import { normaliseSteps, type PlanStep } from '../plans/rules/plan-definition.js';
import { referenceScope, type StepResult } from '../plans/rules/reference-scope.js';
import { nextMove, type NextMove } from '../plans/rules/step-loop.js';
import type { Scope } from '../common/expression/read-path.js';
import type { JournalEntry, LeasedRun } from './run-store.js';

type Result = Extract<JournalEntry, { status: 'success' | 'error' }>;

/**
 * Where one run stands, in memory: what its steps gave, what runs, and which journal entries aren't
 * durable yet. Built from the journal, so that a taken-over run goes on after its last entry.
 */
export class RunState {
  readonly steps: readonly PlanStep[];
  readonly results = new Map<string, StepResult>();
  readonly running = new Set<string>();
  /** What a single step may refer to: steps that ran elsewhere. */
  private readonly given = new Map<string, StepResult>();
  /** Entries that the next write takes along. */
  private unwritten: JournalEntry[] = [];
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
      results: new Map([...this.given, ...this.results]),
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

  /** An entry that has to be written in time, though not at once. */
  note(entry: JournalEntry): void {
    this.unwritten.push(entry);
  }

  settle(stepId: string, result: StepResult): void {
    this.results.set(stepId, result);
  }

  takeUnwritten(): JournalEntry[] {
    const entries = this.unwritten;
    this.unwritten = [];
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
      'the host died while this step ran, so its effect may or may not have happened; look at the provider, then run the plan again from here if it has not',
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
    this.note({ ...entry, status: 'error', result, latencyMs: 0, finishedAt: new Date() });
  }
}

import type { JsonValue } from '../../common/json.js';
import type { StepError } from '../../common/provider-result.js';
import { readySteps } from './graph.js';
import type { PlanStep } from './plan-definition.js';
import type { StepResult } from './reference-scope.js';

/** Where an execution stands. */
export interface Progress {
  /** Of the steps that are done, by id. */
  readonly results: ReadonlyMap<string, StepResult>;
  /** Ids of the steps that have begun and aren't done: running, or waiting for their next attempt. */
  readonly running: ReadonlySet<string>;
}

export type NextMove =
  /** Begin these, in this order; none when only running ones are awaited. */
  | { readonly kind: 'continue'; readonly ready: readonly PlanStep[] }
  | { readonly kind: 'finish'; readonly outcome: PlanOutcome };

export type PlanOutcome =
  | { readonly status: 'success'; readonly output: JsonValue }
  | { readonly status: 'error'; readonly output: JsonValue; readonly error: StepError };

/**
 * What an execution does next. Whether a ready step is skipped (its `when` is false) is for the
 * caller to find out; a skipped step counts as done. A failed step ends the execution unless its
 * `on_error` is `continue`: nothing new begins, what runs may finish. The output is that of the last
 * step in list order that succeeded, or null.
 */
export function nextMove(steps: readonly PlanStep[], { results, running }: Progress): NextMove {
  const failures = steps.filter(
    (step) => step.onError === 'stop' && results.get(step.id)?.status === 'error',
  );
  // What had to stop because another step failed isn't what the execution failed for.
  const failed =
    failures.find(({ id }) => failureOf(results.get(id)).code !== 'step.cancelled') ?? failures[0];
  if (failed !== undefined) {
    if (running.size > 0) return { kind: 'continue', ready: [] };
    const output = lastOutput(steps, results);
    const error = failureOf(results.get(failed.id));
    return { kind: 'finish', outcome: { status: 'error', output, error } };
  }
  const ready = readySteps(steps, {
    isDone: (id) => results.has(id),
    hasBegun: (id) => results.has(id) || running.has(id),
  });
  if (ready.length > 0 || running.size > 0) return { kind: 'continue', ready };
  if (results.size < steps.length) throw new Error('the steps of this plan wait for one another');
  return { kind: 'finish', outcome: { status: 'success', output: lastOutput(steps, results) } };
}

function lastOutput(steps: readonly PlanStep[], results: Progress['results']): JsonValue {
  for (const step of steps.toReversed()) {
    const done = results.get(step.id);
    if (done?.status === 'success') return done.result.output;
  }
  return null;
}

function failureOf(done: StepResult | undefined): StepError {
  const error = done === undefined || done.status === 'skipped' ? null : done.result.error;
  return (
    error ?? {
      code: 'outcome.unknown',
      message: 'the step failed without a reason',
      retryable: false,
    }
  );
}

import type { JsonObject, JsonValue } from '../../common/json.js';
import { DEFAULT_RETRY } from './retry-policy.js';
import type { RetryPolicy } from './retry-policy.js';

/** Each is a row of the journal, or more, and its output is in memory while the run is walked. */
export const MAX_ITEMS = 10_000;

/**
 * Enough to hide the latency of a provider, few enough that most of them take it: common rate limits
 * are tens of requests a second, and one run's items shall leave room for the runs beside it.
 */
const DEFAULT_CONCURRENCY = 10;

/** A step as people write it and as it is stored. */
export interface StepDefinition {
  /** Default: `step_<n>`, counted from 1. */
  id?: string;
  provider: string;
  action: string;
  version?: string;
  params?: JsonObject;
  /** A name or an id. Absent: `default`. Null: none, also where there is a default. */
  credential?: string | null;
  /** Absent: the step before. Empty: none, a root. */
  depends_on?: string[];
  when?: string;
  /** Runs the step once for each item: a reference to the list, or more about it. */
  for_each?: string | ForEachDefinition;
  retry?: RetryDefinition;
  /** Of one attempt. */
  timeout_ms?: number;
  on_error?: OnError;
}

export interface ForEachDefinition {
  /** A reference to a list, or a list that may have references in it. */
  items: string | JsonValue[];
  /** How many items may be under way at once. */
  concurrency?: number;
  /** Of the first item that fails: the end of the step, or something that its output shows. */
  on_error?: OnError;
}

export interface RetryDefinition {
  max_attempts?: number;
  backoff_ms?: number;
  factor?: number;
  max_backoff_ms?: number;
  /** Since the first attempt began: no other begins later. */
  deadline_ms?: number;
}

/** What a step's failure means for the execution: its end, or something that later steps can ask about. */
export type OnError = 'stop' | 'continue';

/** A step with every default filled in. */
export interface PlanStep {
  readonly id: string;
  /** Its place in the list, from 0: `${steps.<index>...}`. */
  readonly index: number;
  readonly provider: string;
  readonly action: string;
  readonly version: string | null;
  readonly params: JsonObject;
  /** Null: `default`. */
  readonly credential: string | null;
  readonly withoutCredential: boolean;
  /** Ids of the steps that must be done before. */
  readonly dependsOn: readonly string[];
  readonly when: string | null;
  readonly forEach: ForEach | null;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number | null;
  readonly onError: OnError;
}

export interface ForEach {
  readonly items: string | JsonValue[];
  readonly concurrency: number;
  readonly onError: OnError;
}

/** Fills in the defaults of valid definitions; `validatePlan` says whether they are. */
export function normaliseSteps(definitions: readonly StepDefinition[]): PlanStep[] {
  const ids = definitions.map((definition, index) => definition.id ?? defaultStepId(index));
  return definitions.map((definition, index) => ({
    id: ids[index] ?? defaultStepId(index),
    index,
    provider: definition.provider,
    action: definition.action,
    version: definition.version ?? null,
    params: definition.params ?? {},
    credential: definition.credential ?? null,
    withoutCredential: definition.credential === null,
    dependsOn: definition.depends_on ?? ids.slice(Math.max(0, index - 1), index),
    when: definition.when ?? null,
    forEach: definition.for_each === undefined ? null : forEachOf(definition.for_each),
    retry: retryPolicy(definition.retry ?? {}),
    timeoutMs: definition.timeout_ms ?? null,
    onError: definition.on_error ?? 'stop',
  }));
}

export function defaultStepId(index: number): string {
  return `step_${String(index + 1)}`;
}

function forEachOf(given: string | ForEachDefinition): ForEach {
  const { items, concurrency, on_error }: ForEachDefinition =
    typeof given === 'string' ? { items: given } : given;
  return {
    items,
    concurrency: concurrency ?? DEFAULT_CONCURRENCY,
    onError: on_error ?? 'stop',
  };
}

function retryPolicy(given: RetryDefinition): RetryPolicy {
  return {
    maxAttempts: given.max_attempts ?? DEFAULT_RETRY.maxAttempts,
    backoffMs: given.backoff_ms ?? DEFAULT_RETRY.backoffMs,
    factor: given.factor ?? DEFAULT_RETRY.factor,
    maxBackoffMs: given.max_backoff_ms ?? DEFAULT_RETRY.maxBackoffMs,
    deadlineMs: given.deadline_ms ?? DEFAULT_RETRY.deadlineMs,
  };
}

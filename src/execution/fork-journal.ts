import { ancestorsOf, buildGraph } from '../plans/rules/graph.js';
import type { PlanStep } from '../plans/rules/plan-definition.js';
import type { AttemptStatus, ExecutionLog } from './execution-log.entity.js';
import { attemptKey, WHOLE_STEP, type JournalEntry } from './run-store.js';

export interface Fork {
  /** Id of the first step to be run anew. */
  fromStep: string;
  /** What the fork walks: the origin's steps, or those of another version of its plan. */
  steps: readonly PlanStep[];
  origin: {
    id: string;
    steps: readonly PlanStep[];
    /** The journal, in the order of attempts. */
    logs: readonly ExecutionLog[];
  };
}

/**
 * What a fork begins with: the results of the steps that aren't run anew, the last attempt of each.
 * Run anew are `fromStep`, all that comes after it, what had not ended in the origin, what another
 * version of the plan has made another step, and all that comes after those.
 */
export function forkJournal(fork: Fork): JournalEntry[] {
  return listKept(fork).map((log) => toEntry(log, fork.origin.id));
}

/** The rows of the journal that it is made of. Their large values have to be filled in before. */
export function listKept({ fromStep, steps, origin }: Fork): ExecutionLog[] {
  const last = new Map(origin.logs.map((log) => [attemptKey(log), log]));
  const ended = Map.groupBy(last.values(), ({ stepId }) => stepId);
  const before = new Map(origin.steps.map((step) => [step.id, step]));
  const isKept = steps.map((step) => {
    const logs = (ended.get(step.id) ?? []).filter((log) => isOfWhole(log, step));
    const isThere = logs.length > 0 && isSameCall(step, before.get(step.id));
    return isThere && step.id !== fromStep && logs.every((log) => hasEnded(log, step));
  });
  const graph = buildGraph(steps);
  return steps
    .filter((_, at) => isKept[at] === true && [...ancestorsOf(graph, at)].every((i) => isKept[i]))
    .flatMap((step) => ended.get(step.id) ?? [])
    .filter(({ status }) => !isUnderWay(status));
}

/** Whether what a step gave in one version can stand for what it would give in the other. */
function isSameCall(step: PlanStep, before: PlanStep | undefined): boolean {
  return (
    step.provider === before?.provider &&
    step.action === before.action &&
    (step.forEach === null) === (before.forEach === null)
  );
}

/** Whether it tells how the step ended, and not only one item of it. */
function isOfWhole({ iteration, status }: ExecutionLog, { forEach }: PlanStep): boolean {
  return forEach === null || iteration === WHOLE_STEP || status === 'skipped';
}

/** Whether nothing more comes of it: a failure that the plan let pass is a result, too. */
function hasEnded(log: ExecutionLog, { onError }: PlanStep): boolean {
  if (log.status !== 'error') return !isUnderWay(log.status);
  const isRetrying = log.metadata?.['next_attempt_in_ms'] !== undefined;
  return onError === 'continue' && !isRetrying && log.error?.code !== 'step.cancelled';
}

function isUnderWay(status: AttemptStatus): boolean {
  return status === 'started' || status === 'waiting';
}

function toEntry(log: ExecutionLog, originId: string): JournalEntry {
  const { stepId, iteration, attempt, provider, action, version, startedAt } = log;
  const head = { stepId, iteration, attempt, provider, action, version, startedAt };
  if (log.status === 'skipped') return { ...head, status: 'skipped' };
  return {
    ...head,
    status: log.status === 'success' ? 'success' : 'error',
    input: log.input,
    result: {
      success: log.status === 'success',
      output: log.output,
      message: log.message ?? '',
      // So that nobody counts as two what ran once.
      metadata: { ...log.metadata, copied_from: originId },
      error: log.error,
    },
    latencyMs: log.latencyMs ?? 0,
    finishedAt: log.finishedAt ?? startedAt,
  };
}

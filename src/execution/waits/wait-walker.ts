import type { Clock } from '../../common/clock.js';
import { newId } from '../../common/ids.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../../common/json.js';
import { stepFailed, stepSucceeded, type ProviderResult } from '../../common/provider-result.js';
import type { PlaceEnd } from '../place-walker.js';
import { attemptKey, type JournalEntry, type OpenWait, type WaitState } from '../run-store.js';
import { hideSecretParams } from '../secret-params.js';
import type { PreparedStep } from '../step-preparer.js';
import type { StepRunner } from '../step-runner.js';
import { entryHead, hasStopped, latencySince, type Place, type Walk } from '../walk.js';
import type { SubPlans } from './sub-plans.js';
import { readWaitRequest, type WaitRequest } from './wait-request.js';

/** Most plans end soon, and often on this host. */
const PLAN_EXPECTED_WITHIN_MS = 5_000;

/** An entry that says that a place waits, and for what. */
export type WaitingEntry = Extract<JournalEntry, { status: 'waiting' }>;

const NOTHING = (): void => undefined;

/** An execution that gave what is too large for its row. */
interface LargeChild {
  id: string;
  outputBlob: string;
}

/** Takes a place whose action waits through its wait: no host holds it meanwhile, nor any memory. */
export class WaitWalker {
  /** One large output of another execution after the other is in memory, of all runs of this host. */
  private reading: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly runner: StepRunner,
    private readonly subPlans: SubPlans,
    private readonly clock: Clock,
  ) {}

  /** Null: the walk stopped before the wait was over. @throws LeaseLost */
  async walk(walk: Walk, place: Place, prepared: PreparedStep): Promise<PlaceEnd | null> {
    const earlier = walk.state.earlierAttempts(keyOf(place));
    // It failed before, and nothing makes it wait again by itself.
    if (earlier?.failure) return { result: earlier.failure, effects: 'none' };
    let entry = walk.state.takeOpenWait(keyOf(place));
    let isNew = false;
    for (;;) {
      if (entry === null) {
        if (hasStopped(walk)) return null;
        const opened = await this.open(walk, place, prepared);
        if ('end' in opened) return opened.end;
        ({ entry } = opened);
        isNew = true;
      }
      const failure = await this.begin(walk, entry, { isNew, before: earlier?.childId ?? null });
      const end = failure ?? (await this.waitFor(walk, entry));
      if (end === null) return null;
      if (end === 'reopen') entry = null;
      else if ('success' in end) return await this.end(walk, prepared, { entry, result: end });
      else return await this.endLarge(walk, prepared, { entry, child: end });
    }
  }

  /** Says in the journal that it waits, or how it failed before it could. */
  private async open(
    walk: Walk,
    place: Place,
    prepared: PreparedStep,
  ): Promise<{ entry: WaitingEntry } | { end: PlaceEnd | null }> {
    const { action, input } = prepared;
    const earlier = walk.state.earlierAttempts(keyOf(place));
    const attempt = (earlier?.last ?? 0) + 1;
    const head = entryHead(walk, place, { attempt, now: this.clock.now() });
    const shown = hideSecretParams(action.input, input);
    const { lease, tenantName } = walk.run;
    const asked = await this.runner.run(prepared, {
      ...{ lease, tenantName, attempt, iteration: place.iteration, signal: walk.signal },
      ...{ calls: null, isReplay: false },
    });
    if (walk.signal.aborted && asked.error?.code === 'step.cancelled') return { end: null };
    const request = asked.success ? readWaitRequest(asked.output) : null;
    if (request?.ok !== true) {
      const result = request ? notAWait(prepared, request.detail, asked.metadata) : asked;
      const ended = { ...head, input: shown, latencyMs: 0, finishedAt: head.startedAt };
      await walk.journal.add({ ...ended, status: 'error', result });
      return { end: { result, effects: 'none' } };
    }
    const wait = toOpenWait(request.request, earlier?.childId ?? null);
    const entry: WaitingEntry = { ...head, input: shown, status: 'waiting', wait };
    walk.state.noteAttempt(entry);
    await walk.journal.add(entry);
    // Also what led here: from now on its time runs, and somebody may answer.
    await walk.journal.flush();
    return { entry };
  }

  /** Sets going what is waited for, where that is up to the engine. @returns why it can't be */
  private async begin(
    walk: Walk,
    { wait }: WaitingEntry,
    { isNew, before }: { isNew: boolean; before: string | null },
  ): Promise<ProviderResult | null> {
    if (wait.kind !== 'plan') return null;
    return await this.subPlans.start(walk, wait, { isRetry: isNew && before !== null });
  }

  private async waitFor(
    walk: Walk,
    { stepId, iteration, attempt, wait }: WaitingEntry,
  ): Promise<ProviderResult | LargeChild | 'reopen' | null> {
    const expectedWithinMs = wait.kind === 'plan' ? PLAN_EXPECTED_WITHIN_MS : 0;
    const state = await walk.room.wait({ stepId, iteration, attempt, expectedWithinMs });
    if (state === null) return null;
    if (state === 'abandoned') {
      return stepFailed('step.cancelled', 'the execution came to its end while this step waited', {
        metadata: 'childId' in wait ? { execution_id: wait.childId } : {},
      });
    }
    // Its execution had ended, and was taken up again.
    if (state.status === 'cancelled') return 'reopen';
    const { child } = state;
    if (child?.status === 'success' && child.outputBlob !== null) {
      return { id: child.id, outputBlob: child.outputBlob };
    }
    return toResult(state, wait);
  }

  /** As many may have ended at once as a `for_each` has items; their outputs come one by one. */
  private async endLarge(
    walk: Walk,
    prepared: PreparedStep,
    { entry, child }: { entry: WaitingEntry; child: LargeChild },
  ): Promise<PlaceEnd> {
    const turn = this.reading.then(async () => {
      const output = await this.subPlans.readOutput(walk, child);
      const result = toPlanSuccess(child.id, output);
      return await this.end(walk, prepared, { entry, result });
    });
    // Of the output itself nothing stays.
    this.reading = turn.then(NOTHING, NOTHING);
    return await turn;
  }

  private async end(
    walk: Walk,
    prepared: PreparedStep,
    { entry, result: given }: { entry: WaitingEntry; result: ProviderResult },
  ): Promise<PlaceEnd> {
    const { step } = prepared;
    const now = this.clock.now();
    const latencyMs = latencySince(entry.startedAt, now);
    const metadata = {
      ...given.metadata,
      latency_ms: latencyMs,
      attempts: entry.attempt,
      provider: step.provider,
      action: step.action,
      version: entry.version,
    };
    const told = { ...given, metadata };
    const checked = told.success
      ? await this.runner.checkOutput(prepared, walk.run.lease, {
          result: told,
          signal: walk.signal,
        })
      : told;
    const result = walk.state.fit(checked);
    const { stepId, iteration, provider, action, version, attempt, startedAt, input } = entry;
    await walk.journal.add({
      ...{ stepId, iteration, provider, action, version, attempt, startedAt, input, result },
      ...{ latencyMs, finishedAt: new Date(now) },
      status: result.success ? 'success' : 'error',
    });
    return { result, effects: 'none' };
  }
}

function toOpenWait(request: WaitRequest, childId: string | null): OpenWait {
  return request.kind === 'plan' ? { ...request, childId: childId ?? newId() } : request;
}

function notAWait({ step }: PreparedStep, detail: string, metadata: JsonObject): ProviderResult {
  const name = `${step.provider}.${step.action}`;
  return stepFailed('input.invalid', `${name} can't wait for that: ${detail}`, { metadata });
}

function toResult(state: WaitState, wait: OpenWait): ProviderResult {
  const resumedAt = (state.endedAt ?? new Date(0)).toISOString();
  if (wait.kind === 'plan') return toPlanResult(state, wait.childId);
  if (wait.kind === 'timer') return stepSucceeded({ resumed_at: resumedAt });
  if (state.status === 'elapsed') {
    const { timeoutSeconds = 0 } = wait;
    const what = wait.kind === 'approval' ? 'nobody decided' : 'nothing came';
    return stepFailed('wait.timed_out', `${what} within ${String(timeoutSeconds)} s`);
  }
  if (wait.kind === 'callback') {
    return stepSucceeded({ payload: state.payload, resumed_at: resumedAt });
  }
  const said = isJsonObject(state.payload) ? state.payload : {};
  return stepSucceeded({
    approved: said['approved'] === true,
    comment: textOrNull(said['comment']),
    resumed_at: resumedAt,
  });
}

function toPlanResult({ child }: WaitState, executionId: string): ProviderResult {
  const metadata = { execution_id: executionId };
  if (child?.status === 'success') {
    return toPlanSuccess(executionId, child.output);
  }
  const code = child?.error?.code ?? child?.status ?? 'unknown';
  const reason = child?.error?.message ?? WITHOUT_ERROR[code] ?? `it is ${code}`;
  return stepFailed('sub_plan.failed', `execution ${executionId} has failed: ${reason}`, {
    details: { execution_id: executionId, code },
    metadata,
  });
}

function toPlanSuccess(executionId: string, output: JsonValue): ProviderResult {
  return stepSucceeded({ execution_id: executionId, output }, { execution_id: executionId });
}

/** How executions end that have no error of their own. */
const WITHOUT_ERROR: Readonly<Record<string, string>> = {
  cancelled:
    'it was cancelled, which no retry takes back; fork this execution from this step to run the plan anew',
};

function textOrNull(value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function keyOf({ step, iteration }: Place): string {
  return attemptKey({ stepId: step.id, iteration });
}

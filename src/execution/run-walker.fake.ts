import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Clock } from '../common/clock.js';
import type { JsonValue } from '../common/json.js';
import { stepSucceeded, type ProviderResult } from '../common/provider-result.js';
import type { StepDefinition } from '../plans/rules/plan-definition.js';
import { PayloadLoads } from './blobs/payload-loads.js';
import { resolveReferences } from '../plans/rules/references.js';
import type { ResolvedEffects } from '../plans/rules/retry-policy.js';
import type { HostCalls, OutboundRequest } from '../sandbox/sandbox.js';
import {
  attemptKey,
  WHOLE_STEP,
  type Accepted,
  type JournalEntry,
  type LeasedRun,
  type NewRun,
  type PlanWait,
  type Progress,
  type RunOutcome,
  type RunStore,
  type WaitPlaceKey,
  type WaitState,
} from './run-store.js';
import { RunWalker, type WalkRequest } from './run-walker.js';
import type { PreparedStep, StepPreparer } from './step-preparer.js';
import type { Attempt, StepRunner } from './step-runner.js';
import { StepWalker } from './step-walker.js';
import { restlessActivity, type Place } from './walk.js';
import type { SubPlans } from './waits/sub-plans.js';
import type { WaitTokens } from './waits/wait-tokens.js';

const POST: OutboundRequest = {
  method: 'POST',
  url: 'https://api.example.com/',
  headers: [],
  body: null,
  redirect: 'follow',
};

export interface Script {
  effects?: ResolvedEffects;
  /** Sends one request in each attempt. */
  posts?: boolean;
  /** Of the answer to it. Default 200. */
  postStatus?: number;
  results: ProviderResult[];
  /** It waits for what its result says. */
  isWait?: boolean;
}

/** One attempt, as the sandbox sees it. */
export interface FakeCall {
  stepId: string;
  iteration: number;
  attempt: number;
  input: JsonValue;
  signal: AbortSignal;
}

/** Storage in memory, as strict as the journal's table. */
export class FakeStore implements Pick<
  RunStore,
  'accept' | 'checkpoint' | 'finish' | 'suspend' | 'rest' | 'settleWaits' | 'readBlobs'
> {
  outcome: RunOutcome | null = null;
  isSuspended = false;
  /** What it rested with; undefined: it did not. */
  restedFor: { retryInMs: number | null } | undefined;
  /** What has become of waits, by `attemptKey`; the others are open. */
  readonly waits = new Map<string, Partial<WaitState>>();
  readonly journal: JournalEntry[] = [];
  /** Large values, by the ids of their handles; and which of them were asked for. */
  readonly blobs = new Map<string, JsonValue>();
  readonly reads: string[] = [];
  failures: Error[] = [];

  constructor(
    private readonly happened: string[],
    private readonly nameOf: (place: Pick<JournalEntry, 'stepId' | 'iteration'>) => string,
    /** What earlier hosts wrote. */
    private readonly before: readonly JournalEntry[],
  ) {}

  async accept({ id }: NewRun, progress?: Progress): Promise<Accepted> {
    const { entries, end } = progress ?? { entries: [], end: null };
    await this.write(entries, end ? `accept:${end.status}` : 'accept');
    this.outcome = end;
    return { kind: 'new', executionId: id, run: {} as LeasedRun };
  }

  checkpoint(_lease: unknown, entries: JournalEntry[]): Promise<void> {
    return this.write(entries, 'write');
  }

  async finish(_lease: unknown, entries: JournalEntry[], outcome: RunOutcome): Promise<void> {
    await this.write(entries, `finish:${outcome.status}`);
    this.outcome = outcome;
  }

  async suspend(_lease: unknown, entries: JournalEntry[]): Promise<void> {
    await this.write(entries, 'suspend');
    this.isSuspended = true;
  }

  async rest(_lease: unknown, entries: JournalEntry[], retryInMs: number | null): Promise<void> {
    await this.write(entries, 'rest');
    this.restedFor = { retryInMs };
  }

  readBlobs(_lease: unknown, ids: readonly string[]): Promise<Map<string, JsonValue>> {
    this.reads.push(...ids);
    return Promise.resolve(this.blobs);
  }

  settleWaits(_lease: unknown, places: readonly WaitPlaceKey[]): Promise<WaitState[]> {
    const asked = new Set(places.map(attemptKey));
    const waiting = this.stored(this.before).filter(
      (one) => one.status === 'waiting' && asked.has(attemptKey(one)),
    );
    const open = { status: 'open', payload: null, endedAt: null, dueInMs: null, child: null };
    const states = waiting.map(({ stepId, iteration, attempt }) => ({
      ...{ stepId, iteration, attempt },
      ...(open as Pick<WaitState, 'status' | 'payload' | 'endedAt' | 'dueInMs' | 'child'>),
      ...this.waits.get(attemptKey({ stepId, iteration })),
    }));
    return Promise.resolve(states);
  }

  /** What the next host reads: JSON that went through the table, in the order of attempts. */
  stored(before: readonly JournalEntry[] = []): JournalEntry[] {
    const rows = new Map<string, JournalEntry>();
    for (const entry of [...before, ...this.journal]) {
      // Only an intent is replaced, and what it says of the input stays.
      const intent = rows.get(rowKey(entry));
      if (!intent) rows.set(rowKey(entry), reorder(entry));
      else if (
        (intent.status === 'started' || intent.status === 'waiting') &&
        entry.status !== 'skipped'
      )
        rows.set(rowKey(entry), { ...reorder(entry), input: intent.input } as JournalEntry);
    }
    return [...rows.values()].sort((a, b) => a.attempt - b.attempt);
  }

  private write(entries: JournalEntry[], what: string): Promise<void> {
    const failure = this.failures.shift();
    if (failure) return Promise.reject(failure);
    if (new Set(entries.map(rowKey)).size < entries.length) {
      return Promise.reject(new Error('one statement would write a row twice'));
    }
    this.journal.push(...entries);
    const names = entries.map((entry) => `${this.nameOf(entry)}=${entry.status}`);
    if (entries.length > 0 || what !== 'write') this.happened.push([what, ...names].join(' '));
    return Promise.resolve();
  }
}

export type FakeRun = ReturnType<typeof setUp>;

/**
 * A walker whose steps give what their scripts say. `happened` tells what came of it, in order:
 * `run:<place>#<attempt>`, `accept ...`, `accept:<status> ...`, `write <place>=<status> ...`, `finish:<status> ...`,
 * `suspend ...`, where a place is `<step>`, `<step>[<item>]`, or `<step>[*]` for a `for_each` as a whole.
 */
export function setUp(
  scripts: Record<string, Script>,
  journal: JournalEntry[] = [],
  steps: StepDefinition[] = Object.keys(scripts).map((id) => ({ id, provider: 'p', action: 'a' })),
) {
  const happened: string[] = [];
  const calls: FakeCall[] = [];
  const loops = new Set(steps.filter((step) => step.for_each !== undefined).map(({ id }) => id));
  const nameOf = ({ stepId, iteration }: Pick<JournalEntry, 'stepId' | 'iteration'>): string => {
    if (!loops.has(stepId)) return stepId;
    return `${stepId}[${iteration === WHOLE_STEP ? '*' : String(iteration)}]`;
  };
  const store = new FakeStore(happened, nameOf, journal);
  const slept: number[] = [];
  const clock: Clock = {
    now: () => 0,
    monotonic: () => slept.reduce((sum, ms) => sum + ms, 0),
    sleep: async (ms) => {
      slept.push(ms);
      made.onSleep?.(ms);
      // Time passes for everybody.
      await nextTurn();
    },
  };
  const preparer = {
    showParams: () => Promise.resolve({}),
    prepare: (_walk: unknown, { step, scope }: Place) => {
      const effects = scripts[step.id]?.effects ?? 'none';
      const form = scripts[step.id]?.isWait === true ? 'wait' : 'code';
      const action = { idempotency: 'none', form };
      const input = resolveReferences(step.params, scope);
      return Promise.resolve({ ok: true, prepared: { step, action, effects, input } });
    },
  } as unknown as StepPreparer;
  const runner = {
    run: async (
      { step, input }: PreparedStep,
      { iteration, attempt, calls: kept, isReplay, signal }: Attempt,
    ) => {
      const call = { stepId: step.id, iteration, attempt, input, signal };
      const name = nameOf(call);
      calls.push(call);
      happened.push(`${isReplay ? 'replay' : 'run'}:${name}#${String(attempt)}`);
      const script = scripts[step.id];
      const told = await made.onRun?.(step.id, call);
      if (told) return told;
      const result = script?.results.shift() ?? stepSucceeded(`${name} done`);
      const host: HostCalls = {
        log: () => undefined,
        http: ({ url }) => {
          happened.push(`post:${name}`);
          const body = new Uint8Array(0);
          const status = script?.postStatus ?? 200;
          const head = { status, statusText: '', url, redirected: false };
          return Promise.resolve({ ...head, headers: [], body });
        },
      };
      const wrapped = isReplay ? kept?.replay(host) : kept?.record(host);
      // Without a child nothing of the plugin runs, so it asks for nothing.
      if (script?.posts === true && result.error?.code !== 'sandbox.unavailable') {
        await wrapped?.http(POST, new AbortController().signal);
      }
      return result;
    },
    checkOutput: (_prepared: unknown, _lease: unknown, { result }: { result: ProviderResult }) =>
      Promise.resolve(result),
  } as unknown as StepRunner;
  const subPlans = {
    start: (_walk: unknown, { childId }: PlanWait) => {
      happened.push(`start:${childId}`);
      return Promise.resolve(null);
    },
    readOutput: async (_walk: unknown, { id }: { id: string }) => {
      happened.push(`read:${id}`);
      await nextTurn();
      happened.push(`given:${id}`);
      return `output of ${id}`;
    },
  } as unknown as SubPlans;
  const loads = new PayloadLoads(store);
  const stepWalker = new StepWalker(preparer, runner, subPlans, loads, clock);
  const tokens = { urlOf: () => 'https://stepwell.example.com/wait' } as unknown as WaitTokens;
  const walker = new RunWalker(store as unknown as RunStore, stepWalker, tokens, clock);
  const run: LeasedRun = {
    lease: { tenantId: 't', ownerId: 'o', executionId: 'e', hostId: 'h', epoch: 1 },
    takeovers: 0,
    unstored: null,
    tenantName: 't',
    planId: null,
    planVersion: null,
    definition: { steps, pins: {} },
    visibility: 'private',
    triggerData: null,
    input: {},
    startedAt: new Date(0),
    depth: 0,
    parentId: null,
    journal,
    forgiven: {},
  };
  const made = {
    happened,
    calls,
    store,
    slept,
    walker,
    run,
    onSleep: null as ((ms: number) => void) | null,
    onRun: null as
      | ((stepId: string, call: FakeCall) => ProviderResult | null | Promise<ProviderResult | null>)
      | null,
  };
  return made;
}

export const entry = (
  stepId: string,
  attempt: number,
  rest: { status: 'started' } | { status: 'success' | 'error'; result: ProviderResult },
  more: { iteration?: number; input?: JsonValue } = {},
): JournalEntry => {
  const { iteration = 0, input = {} } = more;
  const head = {
    ...{ stepId, iteration, attempt, input, provider: 'p', action: 'a', version: '1' },
    startedAt: new Date(0),
  };
  if (rest.status === 'started') return { ...head, status: 'started' };
  return { ...head, ...rest, latencyMs: 1, finishedAt: new Date(0) };
};

export async function walk(
  { walker, run }: Pick<FakeRun, 'walker' | 'run'>,
  more: Partial<WalkRequest> = {},
): Promise<void> {
  const { signal } = new AbortController();
  await walker.walk({
    run,
    signal,
    activity: restlessActivity(),
    ...more,
  });
}

function rowKey(entry: JournalEntry): string {
  return `${attemptKey(entry)}#${String(entry.attempt)}`;
}

/** As `jsonb` does it: members come back in another order. */
function reorder(entry: JournalEntry): JournalEntry {
  if (entry.status !== 'success' && entry.status !== 'error') return entry;
  const { result } = entry;
  return { ...entry, result: { ...result, output: reorderJson(result.output) } };
}

function reorderJson(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reorderJson);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([key, member]) => [key, reorderJson(member)] as const);
  return Object.fromEntries(members.toReversed());
}

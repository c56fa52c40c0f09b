import type { Problem } from '../../common/errors.js';
import { fitsInBytes } from '../../common/expression/values.js';
import { assertSafeJson, isJsonObject, UnsafeJsonError } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import { certainProblems } from './check-params.js';
import { checkForEach, checkParamsReferences, checkWhen } from './check-references.js';
import { checkStructure, draftStep } from './check-structure.js';
import type { StepDraft } from './check-structure.js';
import { checkWaitFields } from './check-waits.js';
import type { WaitTarget } from './check-waits.js';
import { ancestorsOf, buildGraph } from './graph.js';
import type { PlanGraph } from './graph.js';
import { suggestion } from '../../common/nearest-name.js';
import type { ActionRef, FoundAction, PlanCatalogue } from './plan-catalogue.js';
import { normaliseSteps } from './plan-definition.js';
import type { PlanStep, StepDefinition } from './plan-definition.js';
import { checkStepFields } from './step-fields.js';

export const MAX_STEPS = 500;
export const MAX_PLAN_BYTES = 256 * 1024;
const MAX_PROBLEMS = 200;

/** JSON Pointer into the plan, such as `/steps/0/params/url`; the detail says what to do. */
export type PlanProblem = Problem;

export interface ValidatedPlan {
  problems: PlanProblem[];
  /** With all defaults filled in; empty when there are problems. */
  steps: PlanStep[];
  /** What each step would run, by step id: for the pins. Empty when there are problems. */
  actions: Map<string, ActionRef>;
}

/**
 * Checks the steps of a plan and reports every problem at once (the first 200, if somebody manages
 * that many). Only `steps` is looked at, and that nothing asks for what doesn't exist yet; name,
 * description and the like are the caller's.
 *
 * @param input `{ steps: [...] }`, already parsed from JSON, otherwise anything
 * @param options.given ids of steps outside the plan whose results references may use
 */
export async function validatePlan(
  input: unknown,
  catalogue: PlanCatalogue,
  { given: results = [] }: { given?: readonly string[] } = {},
): Promise<ValidatedPlan> {
  const list = new ProblemList();
  const given = readSteps(input as JsonValue, list);
  const drafts = given.map(draftStep);
  const graph = buildGraph(drafts);
  list.add(checkStructure(drafts, graph));
  const lookUp = rememberActions(catalogue);
  const context = {
    graph,
    ids: drafts.map(({ id }) => id),
    elsewhere: new Set(results),
    waits: await Promise.all(drafts.map((draft) => toWaitTarget(draft, lookUp))),
    catalogue,
    lookUp,
  };
  const actions = new Map<string, ActionRef>();
  for (const draft of drafts) {
    const ref = await checkStep(draft, context, list);
    if (ref !== null) actions.set(draft.id, ref);
    if (list.isFull()) break;
  }
  if (list.problems.length > 0)
    return { problems: list.inStepOrder(), steps: [], actions: new Map() };
  // Every field was checked just now.
  return { problems: [], steps: normaliseSteps(given as unknown as StepDefinition[]), actions };
}

/** Takes problems from where they are found only as long as there is room: finding more costs time. */
class ProblemList {
  readonly problems: Problem[] = [];

  isFull(): boolean {
    return this.problems.length >= MAX_PROBLEMS;
  }

  add(found: Iterable<Problem>): void {
    if (this.isFull()) return;
    for (const problem of found) {
      this.problems.push(problem);
      if (this.isFull()) return;
    }
  }

  /** They are found one kind after another; people read them from the first step to the last. */
  inStepOrder(): Problem[] {
    const stepOf = ({ pointer }: Problem): number => {
      const [, first, index] = pointer.split('/');
      return first === 'steps' && index !== undefined ? Number(index) : -1;
    };
    return this.problems.toSorted((a, b) => stepOf(a) - stepOf(b));
  }
}

/** @returns the steps, none when they can't be looked at one by one */
function readSteps(input: JsonValue, list: ProblemList): JsonValue[] {
  if (!isJsonObject(input)) {
    list.add([{ pointer: '', detail: 'a plan must be an object with "steps"' }]);
    return [];
  }
  if (Object.hasOwn(input, 'edges')) {
    list.add([{ pointer: '/edges', detail: 'belong to "nodes"; steps say "depends_on"' }]);
  }
  const steps = Object.hasOwn(input, 'steps') ? input['steps'] : undefined;
  const refusal = refuseSteps(steps);
  if (refusal !== null) list.add([{ pointer: '/steps', detail: refusal }]);
  if (refusal !== null || !Array.isArray(steps)) return [];
  steps.forEach((step, index) => {
    list.add(checkStepFields(step, `/steps/${String(index)}`));
  });
  return steps;
}

/** Why the steps can't be looked at any further, or null. */
function refuseSteps(steps: JsonValue | undefined): string | null {
  if (!Array.isArray(steps) || steps.length === 0) return 'must be a list of at least one step';
  if (steps.length > MAX_STEPS) return `must have at most ${String(MAX_STEPS)} steps`;
  if (!fitsInBytes(steps, MAX_PLAN_BYTES)) return 'must take at most 256 KB as JSON';
  try {
    assertSafeJson(steps);
    return null;
  } catch (error) {
    if (error instanceof UnsafeJsonError) return error.message;
    throw error;
  }
}

interface StepContext {
  readonly ids: readonly string[];
  readonly elsewhere: ReadonlySet<string>;
  readonly waits: readonly WaitTarget[];
  readonly graph: PlanGraph;
  readonly catalogue: PlanCatalogue;
  readonly lookUp: ActionLookup;
}

/** @returns what the step would run, null when that isn't known */
async function checkStep(
  { given, pointer, index }: StepDraft,
  { ids, elsewhere, waits, graph, catalogue, lookUp }: StepContext,
  list: ProblemList,
): Promise<ActionRef | null> {
  let ancestors: ReadonlySet<number> | undefined;
  const isAncestor = (place: number): boolean =>
    (ancestors ??= ancestorsOf(graph, index)).has(place);
  const forEach = given['for_each'];
  const hasItems = forEach !== undefined;
  const context = { ids, given: elsewhere, waits, index, isAncestor, hasItems };
  const params = readParams(given);
  const found = await lookUp(given);
  const action = found?.status === 'found' ? found : null;
  if (found !== null) list.add(describeUnfound(found, given, pointer));
  if (action !== null) list.add(checkWaitFields(given, pointer, action));
  if (params !== null) {
    const under = `${pointer}/params`;
    list.add(below(under, checkParamsReferences(params, action?.inputSchema, context)));
    if (action !== null) {
      const reported = await catalogue.validateParams(action.ref, params);
      list.add(below(under, certainProblems(params, reported)));
    }
  }
  const { credential } = given;
  if (action !== null && (typeof credential === 'string' || credential === null)) {
    const detail = await catalogue.findCredentialProblem(action.ref, credential);
    if (detail !== null) list.add([{ pointer: `${pointer}/credential`, detail }]);
  }
  if (typeof given['when'] === 'string' && given['when'] !== '') {
    list.add(checkWhen(given['when'], `${pointer}/when`, context));
  }
  if (forEach !== undefined) list.add(checkForEach(forEach, `${pointer}/for_each`, context));
  return action?.ref ?? null;
}

/** Null when they are no object, which is reported elsewhere. */
function readParams(given: JsonObject): JsonObject | null {
  const params = given['params'] ?? {};
  return isJsonObject(params) ? params : null;
}

function* below(pointer: string, problems: Iterable<Problem>): Generator<Problem> {
  for (const problem of problems) yield { ...problem, pointer: pointer + problem.pointer };
}

async function toWaitTarget({ id, given }: StepDraft, lookUp: ActionLookup): Promise<WaitTarget> {
  const found = await lookUp(given);
  const waitKind = found?.status === 'found' ? found.waitKind : undefined;
  return { id, hasForEach: given['for_each'] !== undefined, waitKind };
}

type ActionLookup = (given: JsonObject) => Promise<FoundAction | null>;

/** Plans call the same action many times; the catalogue is asked once for each. */
function rememberActions(catalogue: PlanCatalogue): ActionLookup {
  const asked = new Map<string, Promise<FoundAction>>();
  return async ({ provider, action, version }) => {
    if (typeof provider !== 'string' || typeof action !== 'string') return null;
    const wanted = typeof version === 'string' ? version : undefined;
    const key = JSON.stringify([provider, action, wanted]);
    let answer = asked.get(key);
    if (answer === undefined) {
      answer = Promise.resolve(catalogue.findAction(provider, action, wanted));
      asked.set(key, answer);
    }
    return answer;
  };
}

function describeUnfound(found: FoundAction, given: JsonObject, pointer: string): Problem[] {
  const wanted = (field: string): string => (typeof given[field] === 'string' ? given[field] : '');
  const provider = wanted('provider');
  const unknown = (field: string, known: readonly string[], there: string): Problem[] => {
    const detail = `${there} ${field} "${wanted(field)}"${suggestion(wanted(field), known)}`;
    return [{ pointer: `${pointer}/${field}`, detail }];
  };
  switch (found.status) {
    case 'found':
      return [];
    case 'unknown_provider':
      return unknown('provider', found.known, 'there is no');
    case 'unknown_action':
      return unknown('action', found.known, `"${provider}" has no`);
    case 'unknown_version':
      return unknown('version', found.known, `"${provider}" has no`);
    case 'unavailable':
      return [{ pointer: `${pointer}/${found.field ?? 'provider'}`, detail: found.detail }];
  }
}

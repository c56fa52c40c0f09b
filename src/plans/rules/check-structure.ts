import type { Problem } from '../../common/errors.js';
import { isJsonObject } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import { findCycles } from './graph.js';
import type { PlanGraph } from './graph.js';
import { suggestion } from '../../common/nearest-name.js';
import { defaultStepId } from './plan-definition.js';

/** What can be said about a step even when parts of it are wrong. */
export interface StepDraft {
  readonly index: number;
  readonly pointer: string;
  readonly id: string;
  readonly given: JsonObject;
  readonly dependsOn: readonly string[];
}

export function draftStep(step: JsonValue, index: number, all: readonly JsonValue[]): StepDraft {
  const given = isJsonObject(step) ? step : {};
  const listed = given['depends_on'];
  const before = index === 0 ? [] : [idOf(all[index - 1], index - 1)];
  return {
    index,
    pointer: `/steps/${String(index)}`,
    id: idOf(step, index),
    given,
    dependsOn: Array.isArray(listed) ? listed.filter((id) => typeof id === 'string') : before,
  };
}

/** What is wrong between the steps: ids taken twice, dependencies on nothing, cycles. */
export function* checkStructure(
  drafts: readonly StepDraft[],
  graph: PlanGraph,
): Generator<Problem> {
  yield* checkIds(drafts);
  yield* checkDependencies(drafts);
  for (const cycle of findCycles(graph)) yield describeCycle(cycle, drafts);
}

function* checkIds(drafts: readonly StepDraft[]): Generator<Problem> {
  const owners = new Map<string, number>();
  for (const { id, index, given, pointer } of drafts) {
    const owner = owners.get(id);
    if (owner === undefined) {
      owners.set(id, index);
      continue;
    }
    const clash = `the id "${id}" is taken by /steps/${String(owner)}`;
    if (Object.hasOwn(given, 'id'))
      yield { pointer: `${pointer}/id`, detail: `${clash}: choose another` };
    else yield { pointer, detail: `${clash}: give this step an id of its own` };
  }
}

function* checkDependencies(drafts: readonly StepDraft[]): Generator<Problem> {
  const ids = drafts.map(({ id }) => id);
  const known = new Set(ids);
  for (const { given, pointer } of drafts) {
    const listed = given['depends_on'];
    const seen = new Set<string>();
    for (const [at, id] of (Array.isArray(listed) ? listed : []).entries()) {
      if (typeof id !== 'string') continue;
      const place = `${pointer}/depends_on/${String(at)}`;
      if (!known.has(id))
        yield { pointer: place, detail: `there is no step "${id}"${suggestion(id, ids)}` };
      else if (seen.has(id)) yield { pointer: place, detail: `"${id}" is listed twice` };
      seen.add(id);
    }
  }
}

function describeCycle(cycle: readonly number[], drafts: readonly StepDraft[]): Problem {
  const names = [...cycle, ...cycle.slice(0, 1)].map((index) => drafts[index]?.id ?? '');
  const pointer = `/steps/${String(cycle[0])}/depends_on`;
  return { pointer, detail: `the steps wait for one another: ${names.join(' -> ')}` };
}

function idOf(step: JsonValue | undefined, index: number): string {
  const id = isJsonObject(step) ? step['id'] : undefined;
  return typeof id === 'string' ? id : defaultStepId(index);
}

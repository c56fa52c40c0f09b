import type { PathNode } from '../../common/expression/ast.js';
import type { Problem } from '../../common/errors.js';
import { isJsonObject } from '../../common/json.js';
import type { JsonObject, JsonSchema } from '../../common/json.js';
import { suggestion } from '../../common/nearest-name.js';
import type { FoundAction, WaitKind } from './plan-catalogue.js';

/** A step as a reference to its wait sees it. */
export interface WaitTarget {
  readonly id: string;
  readonly hasForEach: boolean;
  /** Null: it doesn't wait. Undefined: its action isn't known. */
  readonly waitKind: WaitKind | null | undefined;
}

/**
 * What is wrong with `waits.<step id>.url`. It may be asked for before that step is begun, and
 * usually is, so it makes no dependency.
 */
export function checkWaitPath(
  { segments: [name, field, ...rest] }: PathNode,
  from: {
    readonly steps: readonly WaitTarget[];
    readonly index: number;
    readonly hasItems: boolean;
  },
): string | null {
  const { steps } = from;
  if (name === undefined) return 'name a step: "waits.<step id>.url"';
  const place = steps.findIndex(({ id }) => id === name.key);
  const target = steps[place];
  if (target === undefined) return unknownStep(name.key, from);
  if (field?.key !== 'url' || rest.length > 0) return 'of a wait only its "url" exists';
  if (place === from.index) return 'a step cannot refer to its own wait: send the URL before it';
  const { id, waitKind, hasForEach } = target;
  const why = waitKind === undefined ? undefined : WITHOUT_URL.get(waitKind);
  if (why !== undefined) {
    return `step "${id}" ${why}: only waits for a callback or an approval have a URL`;
  }
  if (hasForEach && !from.hasItems) {
    return `step "${id}" waits once for each item: only the "params" of a step that has "for_each", too, can refer to its waits`;
  }
  return null;
}

/** A wait isn't an attempt that could take too long: it has an end of its own. */
export function* checkWaitFields(
  given: JsonObject,
  pointer: string,
  action: Extract<FoundAction, { status: 'found' }>,
): Generator<Problem> {
  const { waitKind, inputSchema } = action;
  if (waitKind === undefined || waitKind === null || !Object.hasOwn(given, 'timeout_ms')) return;
  const [offered] = timeoutParams(inputSchema);
  const advice =
    offered === undefined
      ? 'its action has no limit to set: leave it out'
      : `say "${offered}" in "params" instead`;
  yield {
    pointer: `${pointer}/timeout_ms`,
    detail: `does nothing on a step that waits; ${advice}`,
  };
}

/** Nobody outside can say that what these wait for has happened. */
const WITHOUT_URL: ReadonlyMap<WaitKind | null, string> = new Map([
  [null, "doesn't wait"],
  ['timer', 'waits for a time'],
  ['plan', 'waits for a plan'],
]);

function timeoutParams(schema: JsonSchema): string[] {
  const properties = isJsonObject(schema) ? schema['properties'] : undefined;
  return isJsonObject(properties)
    ? Object.keys(properties).filter((name) => name.toLowerCase().startsWith('timeout'))
    : [];
}

function unknownStep(
  key: string,
  { steps, index }: { readonly steps: readonly WaitTarget[]; readonly index: number },
): string {
  if (/^[0-9]+$/.test(key)) return 'a wait is named by the id of its step, not by a place';
  const candidates = steps
    .filter(({ waitKind }, place) => {
      return place !== index && (waitKind === undefined || !WITHOUT_URL.has(waitKind));
    })
    .map(({ id }) => id);
  return `there is no step "${key}"${suggestion(key, candidates)}`;
}

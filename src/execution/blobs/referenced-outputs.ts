import type { PathNode, PathSegment } from '../../common/expression/ast.js';
import { ExpressionError } from '../../common/expression/expression-error.js';
import type { JsonSchema, JsonValue } from '../../common/json.js';
import { listReferences } from '../../plans/rules/references.js';
import { parseWhen } from '../../plans/rules/when.js';

/** A reference to the output of a step, or to one item of it. */
export interface OutputReference {
  /** An id, or a place in the list of steps. */
  readonly step: PathSegment;
  /** Null: all of it may be looked at. */
  readonly item: number | null;
}

/** @param schema of an action's input: what it marks as expressions is none of the engine's */
export function outputsInParams(params: JsonValue, schema?: JsonSchema): OutputReference[] {
  const found = listReferences(params, schema === undefined ? {} : { schema });
  return outputsIn(found.map(({ path }) => path));
}

export function outputsInWhen(when: string): OutputReference[] {
  try {
    return outputsIn(parseWhen(when).paths);
  } catch (error) {
    if (error instanceof ExpressionError) return []; // Whoever evaluates it says what is wrong.
    throw error;
  }
}

function outputsIn(paths: readonly PathNode[]): OutputReference[] {
  return paths.flatMap(({ root, segments: [step, field, item] }) => {
    if (root !== 'steps' || step === undefined || field?.key !== 'output') return [];
    return [{ step, item: item === undefined || item.index < 0 ? null : item.index }];
  });
}

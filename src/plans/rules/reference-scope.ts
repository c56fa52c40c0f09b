import type { JsonValue } from '../../common/json.js';
import type { PathNode, PathSegment } from '../../common/expression/ast.js';
import type { Evaluated } from '../../common/expression/function-spec.js';
import { readSegments } from '../../common/expression/read-path.js';
import type { Scope } from '../../common/expression/read-path.js';
import type { ProviderResult } from '../../common/provider-result.js';
import type { ForEach } from './plan-definition.js';

/** How a step ended. */
export type StepResult =
  | { readonly status: 'success' | 'error'; readonly result: ProviderResult }
  /** Its `when` was false: done, without output. */
  | { readonly status: 'skipped' };

export interface ReferenceValues {
  /** Of the plan in order, so that `steps.0` finds the first. May be empty when results are keyed by index. */
  readonly steps: readonly { readonly id: string; readonly forEach?: ForEach | null }[];
  /** By step id. A step that isn't in it hasn't run. */
  readonly results: ReadonlyMap<string, StepResult>;
  readonly input: JsonValue;
  readonly executionId: string;
  readonly trigger?: JsonValue;
  /** Inside `for_each`. */
  readonly iteration?: { readonly item: JsonValue; readonly index: number };
  /**
   * What to POST to when what a step waits for has happened, in one iteration of its `for_each`, or 0.
   * Absent: nothing waits here.
   */
  readonly waitUrlOf?: (stepId: string, iteration: number) => string;
}

/** The names that a reference may begin with. */
export const REFERENCE_ROOTS = [
  ...(['steps', 'input', 'trigger', 'execution', 'waits'] as const),
  ...(['item', 'index'] as const),
] as const;

/** What may be asked of a step: `steps.<id>.<field>`. */
export const STEP_FIELDS = ['output', 'success', 'status', 'message', 'error'] as const;

/** The scope in which the references and `when` of a step are evaluated. */
export function referenceScope(values: ReferenceValues): Scope {
  return {
    resolve: (path) => {
      switch (path.root as (typeof REFERENCE_ROOTS)[number]) {
        case 'steps':
          return resolveStep(path, values);
        case 'input':
          return readSegments(values.input, path.segments);
        case 'trigger':
          return readSegments(values.trigger, path.segments);
        case 'execution':
          return readSegments({ id: values.executionId }, path.segments);
        case 'waits':
          return resolveWait(path, values);
        case 'item':
          return readSegments(values.iteration?.item, path.segments);
        case 'index':
          return readSegments(values.iteration?.index, path.segments);
        default:
          return undefined;
      }
    },
  };
}

function resolveStep(path: PathNode, { steps, results }: ReferenceValues): Evaluated {
  const [step, field] = path.segments;
  if (step === undefined || field === undefined) return undefined;
  // Ids are never numeric, so a number is always a place in the list.
  const found = results.get(step.key) ?? results.get(steps[step.index]?.id ?? '');
  if (found === undefined) return undefined;
  return readSegments(stepField(found, field), path.segments, 2);
}

/** The URL of a wait exists before its step is begun: it needs no result. */
function resolveWait(path: PathNode, { steps, iteration, waitUrlOf }: ReferenceValues): Evaluated {
  const [name, field] = path.segments;
  const step = steps.find(({ id }) => id === name?.key);
  if (step === undefined || field?.key !== 'url' || waitUrlOf === undefined) return undefined;
  const place = step.forEach ? iteration?.index : 0;
  return place === undefined
    ? undefined
    : readSegments(waitUrlOf(step.id, place), path.segments, 2);
}

function stepField(step: StepResult, field: PathSegment): Evaluated {
  const result = step.status === 'skipped' ? null : step.result;
  switch (field.key as (typeof STEP_FIELDS)[number]) {
    case 'output':
      return result?.output;
    case 'success':
      return step.status === 'success';
    case 'status':
      return step.status;
    case 'message':
      return result?.message ?? null;
    case 'error':
      return result?.error ? { ...result.error } : null;
    default:
      return undefined;
  }
}

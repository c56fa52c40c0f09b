import type { Expression, PathNode, PathSegment } from '../../common/expression/ast.js';
import { ExpressionError } from '../../common/expression/expression-error.js';
import type { Problem } from '../../common/errors.js';
import { isJsonObject } from '../../common/json.js';
import type { JsonObject, JsonSchema, JsonValue } from '../../common/json.js';
import { nearestName, suggestion } from '../../common/nearest-name.js';
import { checkWaitPath } from './check-waits.js';
import type { WaitTarget } from './check-waits.js';
import { describeSyntax, isOneReference, scanReferences } from './references.js';
import type { FoundReference } from './references.js';
import { REFERENCE_ROOTS, STEP_FIELDS } from './reference-scope.js';
import { LIST_REFERENCE } from './step-fields.js';
import { parseWhen } from './when.js';

/** What one step may refer to. */
export interface ReferenceContext {
  /** Ids of all steps, in order. */
  readonly ids: readonly string[];
  /** Ids of steps that aren't of this plan and whose results are known. */
  readonly given: ReadonlySet<string>;
  readonly index: number;
  /** Whether the step at that place is done before this one. */
  readonly isAncestor: (index: number) => boolean;
  /** All steps, in order, as references to waits see them. */
  readonly waits: readonly WaitTarget[];
  /** Whether its params are resolved once for each item of a list. */
  readonly hasItems: boolean;
}

/** What is wrong with the references in a step's params, by JSON Pointer into the params. */
export function* checkParamsReferences(
  params: JsonObject,
  schema: JsonSchema | undefined,
  context: ReferenceContext,
): Generator<Problem> {
  const { references, problems } = scanReferences(params, schema === undefined ? {} : { schema });
  yield* problems;
  yield* checkFound(references, context);
}

/** What is wrong with the list of a `for_each`, whose items it can't refer to yet. */
export function* checkForEach(
  forEach: JsonValue,
  pointer: string,
  context: ReferenceContext,
): Generator<Problem> {
  const items = isJsonObject(forEach) ? forEach['items'] : forEach;
  const at = isJsonObject(forEach) ? `${pointer}/items` : pointer;
  // Anything else is reported with the form of the step.
  if (typeof items !== 'string' && !Array.isArray(items)) return;
  const { references, problems } = scanReferences(items);
  if (problems.length === 0 && typeof items === 'string' && !isOneReference(items)) {
    yield { pointer: at, detail: `must be ${LIST_REFERENCE}, with nothing around it` };
    return;
  }
  const found = checkFound(references, { ...context, hasItems: false });
  for (const problem of [...problems, ...found]) {
    yield { ...problem, pointer: at + problem.pointer };
  }
}

/** What is wrong with a `when`. */
export function* checkWhen(
  when: string,
  pointer: string,
  context: ReferenceContext,
): Generator<Problem> {
  const parsed = parseOrExplain(when);
  if (typeof parsed === 'string') {
    yield { pointer, detail: parsed };
    return;
  }
  for (const path of parsed.paths) {
    // It is decided once, before the first item.
    const detail = checkPath(path, { ...context, hasItems: false });
    if (detail !== null) yield { pointer, detail: `"${path.text}": ${detail}` };
  }
}

function* checkFound(
  references: readonly FoundReference[],
  context: ReferenceContext,
): Generator<Problem> {
  for (const { pointer, reference, path } of references) {
    const detail = checkPath(path, context);
    if (detail !== null) yield { pointer, detail: `${reference}: ${detail}` };
  }
}

function parseOrExplain(when: string): Expression | string {
  try {
    return parseWhen(when);
  } catch (error) {
    if (error instanceof ExpressionError) return describeSyntax(error);
    throw error;
  }
}

function checkPath(path: PathNode, context: ReferenceContext): string | null {
  switch (path.root) {
    case 'steps':
      return checkStepPath(path, context);
    case 'input':
    case 'trigger':
      return null;
    case 'execution': {
      const isId = path.segments.length === 1 && path.segments[0]?.key === 'id';
      return isId ? null : 'only "execution.id" exists';
    }
    case 'waits':
      return checkWaitPath(path, { ...context, steps: context.waits });
    case 'item':
    case 'index':
      return context.hasItems
        ? null
        : `"${path.root}" exists only in the "params" of a step that has "for_each"`;
    default:
      return unknownRoot(path.root, context);
  }
}

function unknownRoot(root: string, { hasItems }: ReferenceContext): string {
  const known = REFERENCE_ROOTS.filter((name) => hasItems || (name !== 'item' && name !== 'index'));
  return `there is no "${root}"${suggestion(root, known)}`;
}

function checkStepPath(
  { segments: [step, field] }: PathNode,
  context: ReferenceContext,
): string | null {
  const fields = STEP_FIELDS.join(', ');
  if (step === undefined) return 'name a step: "steps.<id>.output"';
  // Ids are never numeric, so a number is always a place in the list.
  if (context.given.has(step.key)) return checkStepField(field, fields);
  const target = step.index >= 0 ? step.index : context.ids.indexOf(step.key);
  if (target < 0 || target >= context.ids.length) return unknownStep(step.key, context.ids);
  const fieldProblem = checkStepField(field, fields);
  if (fieldProblem !== null) return fieldProblem;
  if (target === context.index) return 'a step cannot refer to itself';
  if (context.isAncestor(target)) return null;
  const id = context.ids[target] ?? step.key;
  return `step "${id}" is not done before this one: add it to "depends_on"`;
}

function checkStepField(field: PathSegment | undefined, fields: string): string | null {
  if (field === undefined) return `say what of the step: one of ${fields}`;
  if ((STEP_FIELDS as readonly string[]).includes(field.key)) return null;
  const nearest = nearestName(field.key, STEP_FIELDS) ?? 'output';
  return `a step has no "${field.key}", only ${fields}; did you mean "${nearest}"?`;
}

function unknownStep(key: string, ids: readonly string[]): string {
  if (/^[0-9]+$/.test(key)) {
    return `there is no step ${key}: places count from 0, the last is ${String(ids.length - 1)}`;
  }
  return `there is no step "${key}"${suggestion(key, ids)}`;
}

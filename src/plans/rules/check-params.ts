import type { Problem } from '../../common/errors.js';
import { readPointer } from '../../common/json.js';
import type { JsonObject } from '../../common/json.js';
import type { ParamsProblem } from './plan-catalogue.js';
import { containsReference } from './references.js';

/**
 * Keeps the problems of params that stand whatever the references in them will be. Dropped is what
 * concerns a text with a reference in it, and each choice (`anyOf` and its like) that such a text
 * takes part in, with all that was reported while that choice was tried.
 */
export function certainProblems(params: JsonObject, reported: readonly ParamsProblem[]): Problem[] {
  const problems = reported.slice(0, MAX_REPORTED);
  const undecided = problems.filter(
    ({ keyword, pointer }) =>
      keyword !== undefined &&
      CHOICES.has(keyword) &&
      containsReference(readPointer(params, pointer)),
  );
  return problems
    .filter((problem) => !isAtReference(params, problem.pointer))
    .filter((problem) => !undecided.some((choice) => belongsTo(problem, choice)))
    .map(({ pointer, detail }) => ({ pointer, detail }));
}

/** Each is compared with each choice, and a plan shows no more than a few hundred anyway. */
const MAX_REPORTED = 500;

/** Keywords that compare or choose by the value of everything below them. */
const CHOICES: ReadonlySet<string> = new Set([
  ...['anyOf', 'oneOf', 'not', 'if', 'const', 'enum', 'contains', 'uniqueItems', 'discriminator'],
  ...['dependentSchemas', 'unevaluatedProperties', 'unevaluatedItems'],
]);

/** Whether the pointer is at a text with a reference, or leads through one. */
function isAtReference(params: JsonObject, pointer: string): boolean {
  for (let end = pointer.length; end > 0; end = pointer.lastIndexOf('/', end - 1)) {
    const value = readPointer(params, pointer.slice(0, end));
    if (typeof value === 'string' && containsReference(value)) return true;
  }
  return false;
}

function belongsTo(problem: ParamsProblem, choice: ParamsProblem): boolean {
  if (problem === choice) return true;
  const isBelow =
    problem.pointer === choice.pointer || problem.pointer.startsWith(`${choice.pointer}/`);
  if (!isBelow) return false;
  const [path, within] = [problem.schemaPath, choice.schemaPath];
  if (path === undefined || within === undefined) return true;
  // A branch that is only a `$ref` reports from where the reference leads: it can't be told apart.
  if (path.includes('/$defs/') || path.includes('/definitions/') || !path.startsWith('#/'))
    return true;
  if (choice.keyword === 'if') {
    const parent = within.slice(0, -'/if'.length);
    return path.startsWith(`${parent}/then/`) || path.startsWith(`${parent}/else/`);
  }
  return path.startsWith(`${within}/`);
}

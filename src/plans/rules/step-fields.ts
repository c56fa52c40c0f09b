import type { Problem } from '../../common/errors.js';
import { isJsonObject, pointerToken } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import { suggestion } from '../../common/nearest-name.js';
import { MAX_ITEMS } from './plan-definition.js';

/** Longest wait of one attempt that a plan may ask for: an hour. Policy and manifest set lower ones. */
const MAX_TIMEOUT_MS = 60 * 60 * 1000;
const MAX_BACKOFF_MS = 24 * 60 * 60 * 1000;
/** A week. */
const MAX_DEADLINE_MS = 7 * 24 * 60 * 60 * 1000;
const MAX_ATTEMPTS = 50;
const MAX_CONCURRENCY = 100;
const ID_RULE =
  'an id begins with a letter or "_" and holds letters, digits, "-" and "_", at most 64';
/** A path can't go through them, so no reference could name such a step. */
const RESERVED_IDS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** Says what is wrong with a value, or null. */
type Rule = (value: JsonValue) => string | null;

/** Every problem in the form of one step: types, ranges, unknown fields. What it refers to isn't looked at. */
export function* checkStepFields(step: JsonValue, pointer: string): Generator<Problem> {
  if (!isJsonObject(step)) {
    yield { pointer, detail: 'a step must be an object' };
    return;
  }
  for (const field of ['provider', 'action']) {
    if (!Object.hasOwn(step, field)) yield { pointer, detail: `"${field}" is missing` };
  }
  yield* checkFields(step, pointer, STEP_RULES);
  if (isJsonObject(step['retry']))
    yield* checkFields(step['retry'], `${pointer}/retry`, RETRY_RULES);
  yield* checkForEach(step['for_each'], `${pointer}/for_each`);
  if (!Array.isArray(step['depends_on'])) return;
  for (const [at, id] of step['depends_on'].entries()) {
    if (typeof id === 'string') continue;
    yield { pointer: `${pointer}/depends_on/${String(at)}`, detail: 'must be the id of a step' };
  }
}

function* checkForEach(forEach: JsonValue | undefined, pointer: string): Generator<Problem> {
  if (!isJsonObject(forEach)) return;
  if (!Object.hasOwn(forEach, 'items')) yield { pointer, detail: '"items" is missing' };
  yield* checkFields(forEach, pointer, FOR_EACH_RULES);
}

function* checkFields(
  given: JsonObject,
  pointer: string,
  rules: ReadonlyMap<string, Rule>,
): Generator<Problem> {
  for (const [field, value] of Object.entries(given)) {
    const rule = rules.get(field);
    const detail = rule
      ? rule(value)
      : `there is no field "${field}"${suggestion(field, [...rules.keys()])}`;
    if (detail !== null) yield { pointer: `${pointer}/${pointerToken(field)}`, detail };
  }
}

/** What a list is given by, for messages. */
export const LIST_REFERENCE = 'a reference to a list such as "${steps.list.output.items}"';

const isName = text({ min: 1, max: 200 });

const STEP_RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['id', checkId],
  ['provider', isName],
  ['action', isName],
  ['version', text({ min: 1, max: 64 })],
  ['params', (value) => (isJsonObject(value) ? null : 'must be an object')],
  ['credential', checkCredential],
  [
    'depends_on',
    (value) =>
      Array.isArray(value) ? null : 'must be a list of step ids; [] makes the step a root',
  ],
  ['when', text({ min: 1, max: 8192 })],
  [
    'retry',
    (value) => (isJsonObject(value) ? null : 'must be an object such as { "max_attempts": 3 }'),
  ],
  ['timeout_ms', number({ min: 1, max: MAX_TIMEOUT_MS, whole: true })],
  ['on_error', checkOnError],
  [
    'for_each',
    (value) =>
      isJsonObject(value) || typeof value === 'string'
        ? null
        : `must be ${LIST_REFERENCE}, or an object such as { "items": [1, 2], "concurrency": 5 }`,
  ],
]);

const FOR_EACH_RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['items', checkItems],
  ['concurrency', number({ min: 1, max: MAX_CONCURRENCY, whole: true })],
  ['on_error', checkOnError],
]);

const RETRY_RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['max_attempts', number({ min: 1, max: MAX_ATTEMPTS, whole: true })],
  ['backoff_ms', number({ min: 0, max: MAX_BACKOFF_MS, whole: true })],
  ['factor', number({ min: 1, max: 10, whole: false })],
  ['max_backoff_ms', number({ min: 0, max: MAX_BACKOFF_MS, whole: true })],
  ['deadline_ms', number({ min: 1, max: MAX_DEADLINE_MS, whole: true })],
]);

function checkId(value: JsonValue): string | null {
  if (typeof value !== 'string') return `must be text: ${ID_RULE}`;
  if (/^[0-9]+$/.test(value))
    return 'a number is no id: in references it means the place of a step';
  if (RESERVED_IDS.has(value)) return `"${value}" is a reserved name`;
  return /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(value) ? null : ID_RULE;
}

function checkCredential(value: JsonValue): string | null {
  if (value === null) return null;
  if (typeof value === 'string' && value.includes('${')) {
    return 'must be the name or id of a credential: a reference is not allowed here';
  }
  return isName(value);
}

function checkOnError(value: JsonValue): string | null {
  return value === 'stop' || value === 'continue' ? null : 'must be "stop" or "continue"';
}

function checkItems(value: JsonValue): string | null {
  if (typeof value === 'string') return null;
  if (!Array.isArray(value)) return `must be ${LIST_REFERENCE}, or a list`;
  return value.length > MAX_ITEMS ? `must have at most ${String(MAX_ITEMS)} items` : null;
}

function text({ min, max }: { min: number; max: number }): Rule {
  return (value) => {
    if (typeof value !== 'string') return 'must be text';
    if (value.length < min) return 'must not be empty';
    return value.length > max ? `must have at most ${String(max)} characters` : null;
  };
}

function number({ min, max, whole }: { min: number; max: number; whole: boolean }): Rule {
  const detail = `must be a ${whole ? 'whole ' : ''}number from ${String(min)} to ${String(max)}`;
  return (value) => {
    const isRight = typeof value === 'number' && value >= min && value <= max;
    return isRight && (!whole || Number.isInteger(value)) ? null : detail;
  };
}

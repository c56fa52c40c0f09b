import type { PathNode } from '../../common/expression/ast.js';
import { ExpressionError } from '../../common/expression/expression-error.js';
import { SchemaPlace } from '../../common/expression/expression-places.js';
import {
  evaluateInterpolation,
  parseInterpolation,
} from '../../common/expression/interpolation.js';
import type { Interpolation, InterpolationSyntax } from '../../common/expression/interpolation.js';
import { countMembers } from '../../common/expression/members.js';
import { DEFAULT_EVALUATION_LIMITS, Meter } from '../../common/expression/meter.js';
import type { Scope } from '../../common/expression/read-path.js';
import { fitsInBytes } from '../../common/expression/values.js';
import { DEFAULT_JSON_LIMITS, isJsonObject, pointerToken } from '../../common/json.js';
import type { JsonObject, JsonSchema, JsonValue } from '../../common/json.js';
import type { Problem } from '../../common/errors.js';

export interface ReferenceOptions {
  /** The action's input schema: what it marks `x-stepwell-expression` is left as it is. */
  readonly schema?: JsonSchema;
}

export interface ResolveOptions extends ReferenceOptions {
  /** Of the resolved value as JSON. Default: 4 MiB. */
  readonly maxBytes?: number;
  /** What all evaluations of a run may take together; only its steps are charged. Default: no bound. */
  readonly meter?: Meter;
}

/** A reference to a path; one `${a ?? b}` counts twice. */
export interface FoundReference {
  /** JSON Pointer of the text that holds it. */
  readonly pointer: string;
  /** As written, with its braces. */
  readonly reference: string;
  readonly path: PathNode;
  /** Id or index of the step that it asks about. */
  readonly stepRef?: string;
}

/** Why params can't be resolved. `missing`: a path leads nowhere; the step fails with `reference.missing`. */
export class UnresolvedReferenceError extends Error {
  constructor(
    readonly reason: 'missing' | 'syntax' | 'too_large',
    /** As written, with its braces; empty when no single one is to blame. */
    readonly reference: string,
    readonly pointer: string,
    message: string,
  ) {
    super(message);
    this.name = 'UnresolvedReferenceError';
  }
}

/**
 * Replaces every `${...}` in JSON by what it refers to. A text that is one reference takes the value
 * with its type; inside longer text values are written as text: lists and objects as JSON, null as
 * nothing. `$${` is a literal `${`. `${path ?? "default"}` allows for what is missing or null.
 * What holds no reference is handed on as it is, not copied.
 *
 * @throws UnresolvedReferenceError, and nothing else
 */
export function resolveReferences(
  params: JsonValue,
  scope: Scope,
  options: ResolveOptions = {},
): JsonValue {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  return resolveWith(params, scope, { ...options, maxBytes }, (resolved, meter) => {
    if (resolved !== params && !fitsInBytes(resolved, maxBytes, meter)) throw tooLarge('');
  });
}

/**
 * The same for a list that is gone through item by item. It shares what it refers to and is never
 * written as a whole, so only what is made anew is measured.
 *
 * @throws UnresolvedReferenceError, and nothing else
 */
export function resolveList(
  list: JsonValue,
  scope: Scope,
  options: ResolveOptions = {},
): JsonValue {
  return resolveWith(list, scope, options, () => undefined);
}

function resolveWith(
  params: JsonValue,
  scope: Scope,
  options: ResolveOptions,
  check: (resolved: JsonValue, meter: Meter) => void,
): JsonValue {
  const maxSize = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const meter = new Meter({ ...DEFAULT_EVALUATION_LIMITS, maxSize }, options.meter);
  try {
    const resolved = mapTexts(params, SchemaPlace.of(options.schema), {
      text: (text, pointer) => resolveText(text, pointer, { scope, meter }),
      visit: (members) => {
        meter.step(members);
      },
    });
    check(resolved, meter);
    return resolved;
  } catch (error) {
    // Of going through the params or what they became; that of a single text is named there.
    if (!(error instanceof ExpressionError)) throw error;
    throw tooLong('');
  }
}

const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;

/** Every reference in params; those that don't parse are in `scanReferences`. */
export function listReferences(
  params: JsonValue,
  options: ReferenceOptions = {},
): FoundReference[] {
  return scanReferences(params, options).references;
}

/** Every reference in params, and what is wrong with the syntax of others, by JSON Pointer. */
export function scanReferences(
  params: JsonValue,
  options: ReferenceOptions = {},
): { references: FoundReference[]; problems: Problem[] } {
  const references: FoundReference[] = [];
  const problems: Problem[] = [];
  mapTexts(params, SchemaPlace.of(options.schema), {
    text: (text, pointer) => {
      try {
        const parsed = parseInterpolation(text, REFERENCE_SYNTAX);
        if (parsed !== null) references.push(...foundIn(parsed, pointer));
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
        problems.push({ pointer, detail: describeSyntax(error) });
      }
      return text;
    },
  });
  return { references, problems };
}

/** Whether resolving would change any text in it: it holds `${`, be it a reference or an escape. */
export function containsReference(value: JsonValue | undefined): boolean {
  if (typeof value === 'string') return value.includes(REFERENCE_SYNTAX.open);
  if (Array.isArray(value)) return value.some(containsReference);
  return isJsonObject(value) && Object.values(value).some(containsReference);
}

/** Whether a text that parses is one reference and nothing else, so that its value keeps its type. */
export function isOneReference(text: string): boolean {
  const parsed = parseInterpolation(text, REFERENCE_SYNTAX);
  return parsed !== null && parsed.single !== null;
}

/** One sentence about a syntax error, with the place in the text, counted from 1. */
export function describeSyntax(error: ExpressionError): string {
  return `${error.message} (at character ${String(error.offset + 1)})`;
}

const REFERENCE_SYNTAX: InterpolationSyntax = {
  open: '${',
  close: '}',
  escape: '$${',
  operators: 'fallback',
};

function foundIn({ parts }: Interpolation, pointer: string): FoundReference[] {
  return parts.flatMap((part) => {
    if (part.kind === 'text') return [];
    return part.expression.paths.map((path) => {
      const found = { pointer, reference: part.source, path };
      const step = path.root === 'steps' ? path.segments[0] : undefined;
      return step === undefined ? found : { ...found, stepRef: step.key };
    });
  });
}

function resolveText(
  text: string,
  pointer: string,
  { scope, meter }: { scope: Scope; meter: Meter },
): JsonValue {
  try {
    meter.convert(text.length);
    const parsed = parseInterpolation(text, REFERENCE_SYNTAX);
    return parsed === null ? text : (evaluateInterpolation(parsed, scope, { meter }) ?? null);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const reference = error.within ?? '';
    switch (error.reason) {
      case 'missing':
        throw new UnresolvedReferenceError(
          'missing',
          reference,
          pointer,
          explainMissing(reference),
        );
      case 'size':
        throw tooLarge(pointer);
      case 'steps':
        throw tooLong(pointer);
      case 'syntax':
      case 'type':
        throw new UnresolvedReferenceError('syntax', reference, pointer, describeSyntax(error));
    }
  }
}

function explainMissing(reference: string): string {
  return `${reference} leads to nothing; write \${... ?? "default"} if that may be`;
}

function tooLarge(pointer: string): UnresolvedReferenceError {
  return new UnresolvedReferenceError(
    'too_large',
    '',
    pointer,
    'the resolved params are too large',
  );
}

/** The same reason: whoever writes params can only make them refer to less. */
function tooLong(pointer: string): UnresolvedReferenceError {
  return new UnresolvedReferenceError(
    'too_large',
    '',
    pointer,
    'resolving the params takes too many steps: they, or what they refer to, are too large',
  );
}

interface TextMapper {
  text(text: string, pointer: string): JsonValue;
  /** Told of the members or items that are about to be gone through. */
  visit?(members: number): void;
}

/** Applies a function to every text that the schema doesn't mark; shares what it leaves unchanged. */
function mapTexts(
  value: JsonValue,
  place: SchemaPlace | null,
  map: TextMapper,
  pointer = '',
  depth = 0,
): JsonValue {
  if (place?.isExpression) return value;
  if (typeof value === 'string')
    return value.includes(REFERENCE_SYNTAX.open) ? map.text(value, pointer) : value;
  if (typeof value !== 'object' || value === null) return value;
  // Params were checked when the plan was; this only keeps the stack safe from those that weren't.
  if (depth > DEFAULT_JSON_LIMITS.maxDepth) {
    throw new UnresolvedReferenceError(
      'too_large',
      '',
      pointer,
      'the params are nested too deeply',
    );
  }
  map.visit?.(Array.isArray(value) ? value.length : countMembers(value));
  const step = (key: string | number, child: JsonValue): JsonValue =>
    mapTexts(child, place?.child(key) ?? null, map, `${pointer}/${pointerToken(key)}`, depth + 1);
  return Array.isArray(value) ? mapItems(value, step) : mapMembers(value, step);
}

function mapItems(
  list: JsonValue[],
  map: (key: number, item: JsonValue) => JsonValue,
): JsonValue[] {
  const mapped = list.map((item, index) => map(index, item));
  return mapped.some((item, index) => item !== list[index]) ? mapped : list;
}

function mapMembers(
  object: JsonObject,
  map: (key: string, member: JsonValue) => JsonValue,
): JsonObject {
  const mapped = Object.entries(object).map(([key, member]) => [key, map(key, member)] as const);
  return mapped.some(([key, member]) => member !== object[key])
    ? Object.fromEntries(mapped)
    : object;
}

import type { Expression } from './ast.js';
import { evaluateExpression } from './evaluate.js';
import type { EvaluateOptions } from './evaluate.js';
import { ExpressionError } from './expression-error.js';
import type { Evaluated } from './function-spec.js';
import { Meter } from './meter.js';
import { MAX_EXPRESSION_CHARACTERS, parseExpression } from './parse-expression.js';
import type { ParseOptions } from './parse-expression.js';
import type { Scope } from './read-path.js';
import { writeAsText } from './values.js';

/** Text with expressions in it, parsed. */
export interface Interpolation {
  readonly parts: readonly InterpolationPart[];
  /** The expression when there is nothing else in the text, so that its value keeps its type. */
  readonly single: Expression | null;
}

export type InterpolationPart =
  | { readonly kind: 'text'; readonly text: string }
  /** `source` is the whole of it, with its brackets; `offset` is where that starts. */
  | {
      readonly kind: 'expression';
      readonly expression: Expression;
      readonly source: string;
      readonly offset: number;
    };

export interface InterpolationSyntax extends ParseOptions {
  readonly open: string;
  readonly close: string;
  /** What stands for a literal `open`. */
  readonly escape?: string;
}

/**
 * Parses text that may hold expressions.
 * @returns null when there is neither an expression nor an escape in it: the text is itself
 * @throws ExpressionError `syntax`, its offset in the whole text
 */
export function parseInterpolation(
  text: string,
  syntax: InterpolationSyntax,
): Interpolation | null {
  if (!text.includes(syntax.open)) return null;
  const parts: InterpolationPart[] = [];
  let literal = '';
  let at = 0;
  for (;;) {
    const open = text.indexOf(syntax.open, at);
    if (open < 0) break;
    const escaped = escapeStart(text, open, syntax);
    if (escaped >= at) {
      literal += text.slice(at, escaped) + syntax.open;
      at = open + syntax.open.length;
      continue;
    }
    literal += text.slice(at, open);
    if (literal !== '') parts.push({ kind: 'text', text: literal });
    literal = '';
    const end = closingBracket(text, open, syntax);
    const expression = parseAt(text.slice(open + syntax.open.length, end), open, syntax);
    at = end + syntax.close.length;
    parts.push({ kind: 'expression', expression, source: text.slice(open, at), offset: open });
  }
  literal += text.slice(at);
  if (literal !== '') parts.push({ kind: 'text', text: literal });
  const [only] = parts;
  const single = parts.length === 1 && only?.kind === 'expression' ? only.expression : null;
  return { parts, single };
}

/**
 * @returns the single expression's value, or the text with each value written into it
 * @throws ExpressionError, its offset in the whole text, `within` naming the expression
 */
export function evaluateInterpolation(
  { parts, single }: Interpolation,
  scope: Scope,
  options: EvaluateOptions = {},
): Evaluated {
  const meter = options.meter ?? new Meter();
  let text = '';
  for (const part of parts) {
    const value =
      part.kind === 'text' ? part.text : evaluatePart(part, scope, { ...options, meter });
    if (single !== null) return value;
    const piece = writeAsText(value, meter);
    meter.grow(piece.length);
    text += piece;
  }
  return text;
}

function evaluatePart(
  part: InterpolationPart & { kind: 'expression' },
  scope: Scope,
  options: EvaluateOptions,
): Evaluated {
  try {
    return evaluateExpression(part.expression, scope, options);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const offset = part.offset + part.source.indexOf(part.expression.source) + error.offset;
    throw new ExpressionError(error.reason, error.message, offset, part.source);
  }
}

/** Where the escape of the bracket at `open` begins, or -1 when it isn't escaped. */
function escapeStart(
  text: string,
  open: number,
  { open: bracket, escape }: InterpolationSyntax,
): number {
  if (escape === undefined) return -1;
  const start = open + bracket.length - escape.length;
  return start >= 0 && text.startsWith(escape, start) ? start : -1;
}

/** Quotes inside an expression may hold the closing bracket: `${input["a}b"]}`. */
function closingBracket(text: string, open: number, syntax: InterpolationSyntax): number {
  const start = open + syntax.open.length;
  const limit = Math.min(text.length, start + MAX_EXPRESSION_CHARACTERS + syntax.close.length);
  let quote = '';
  for (let at = start; at < limit; at++) {
    const character = text.charAt(at);
    if (quote !== '') {
      if (character === '\\') at++;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (text.startsWith(syntax.close, at)) return at;
  }
  const literally =
    syntax.escape === undefined ? '' : `; write "${syntax.escape}" for a literal "${syntax.open}"`;
  throw new ExpressionError(
    'syntax',
    `"${syntax.open}" without "${syntax.close}"${literally}`,
    open,
  );
}

function parseAt(source: string, open: number, syntax: InterpolationSyntax): Expression {
  try {
    return parseExpression(source, syntax);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const offset = error.offset + open + syntax.open.length;
    throw new ExpressionError(error.reason, error.message, offset);
  }
}

import { RE2JS } from 're2js';

/** A regular expression that takes time linear in its input, whatever it is and whatever it meets. */
export interface LinearPattern {
  test(text: string): boolean;
  /** Distinct for distinct patterns: ajv tells compiled patterns apart by it. */
  toString(): string;
}

/** A pattern isn't one that this host can match in linear time; the message says which part. */
export class PatternError extends Error {
  override name = 'PatternError';
}

/** Roughly the number of states of a pattern: what compiling it and matching with it cost. */
export const MAX_PATTERN_WEIGHT = 10_000;
const MAX_PATTERN_LENGTH = 4_096;

/**
 * Compiles a pattern of JSON Schema (ECMA-262 syntax) for RE2. Backreferences and look-arounds are
 * beyond RE2, except for lookaheads at the very start (`^(?=.*\d)(?!admin).{8,}$`): these are just
 * further patterns that have to match, or not.
 * @throws PatternError
 */
export function compilePattern(source: string): LinearPattern {
  if (source.length > MAX_PATTERN_LENGTH) {
    throw new PatternError(`is longer than ${String(MAX_PATTERN_LENGTH)} characters`);
  }
  if (weighPattern(source) > MAX_PATTERN_WEIGHT) {
    throw new PatternError('repeats too much: its {n} add up to too many states');
  }
  const { conditions, rest } = splitLeadingLookaheads(source);
  const main = compileRe2(rest);
  const checks = conditions.map(({ body, isNegated }) => ({
    pattern: compileRe2(`^(?:${body})`),
    isNegated,
  }));
  if (checks.length === 0) return { test: (text) => main.test(text), toString: () => source };
  return {
    test: (text) =>
      checks.every(({ pattern, isNegated }) => pattern.test(text) !== isNegated) && main.test(text),
    toString: () => source,
  };
}

/** Estimates the states that RE2 makes of a pattern, without making them: `(ab){50}` counts 100. */
export function weighPattern(source: string): number {
  const outer: number[] = [];
  let total = 0;
  let atom = 0;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    if (char === '(') {
      outer.push(total);
      total = 0;
      atom = 0;
    } else if (char === ')') {
      atom = total + 1;
      total = (outer.pop() ?? 0) + atom;
    } else if (char === '{') {
      const repeat = /^\{(\d+)(?:,(\d*))?\}/.exec(source.slice(i, i + 16));
      if (repeat === null) {
        atom = 1;
        total += 1;
        continue;
      }
      const times = Math.max(1, Number(repeat[1]), Number(repeat[2] ?? 0));
      total += atom * (times - 1);
      atom *= times;
      i += repeat[0].length - 1;
    } else {
      i = endOfAtom(source, i);
      atom = 1;
      total += 1;
    }
  }
  return outer.reduce((sum, part) => sum + part, total);
}

interface Lookahead {
  body: string;
  isNegated: boolean;
}

/** Splits `^(?=a)(?!b)rest` into its conditions and `^rest`. */
function splitLeadingLookaheads(source: string): { conditions: Lookahead[]; rest: string } {
  const conditions: Lookahead[] = [];
  let at = 1;
  if (!source.startsWith('^')) return { conditions, rest: source };
  while (source.startsWith('(?=', at) || source.startsWith('(?!', at)) {
    const end = endOfGroup(source, at);
    if (end === null) break;
    conditions.push({ body: source.slice(at + 3, end), isNegated: source[at + 2] === '!' });
    at = end + 1;
  }
  const rest = source.slice(at);
  if (conditions.length === 0) return { conditions, rest: source };
  // A quantified lookahead is optional; an alternative beside it isn't bound by it.
  if (/^[*+?{]/.test(rest) || hasTopLevelBar(rest)) {
    throw new PatternError(
      'uses a lookahead in a place where it can not be checked in linear time',
    );
  }
  return { conditions, rest: `^${rest}` };
}

function endOfGroup(source: string, start: number): number | null {
  let depth = 0;
  for (let i = start; i < source.length; i++) {
    if (source[i] === '(') depth += 1;
    else if (source[i] === ')' && --depth === 0) return i;
    else i = endOfAtom(source, i);
  }
  return null;
}

function hasTopLevelBar(source: string): boolean {
  let depth = 0;
  for (let i = 0; i < source.length; i++) {
    if (source[i] === '(') depth += 1;
    else if (source[i] === ')') depth -= 1;
    else if (source[i] === '|' && depth === 0) return true;
    else i = endOfAtom(source, i);
  }
  return false;
}

/** Index of the last character of the escape, the class or the single character at `i`. */
function endOfAtom(source: string, i: number): number {
  if (source[i] === '\\') {
    const braced = /^\\[pPux]\{[^}]*\}/.exec(source.slice(i, i + 80));
    return i + (braced === null ? 1 : braced[0].length - 1);
  }
  if (source[i] !== '[') return i;
  for (let j = i + 1; j < source.length; j++) {
    if (source[j] === '\\') j += 1;
    else if (source[j] === ']') return j;
  }
  return source.length - 1;
}

function compileRe2(source: string): RE2JS {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(source));
  } catch (error) {
    const message = error instanceof Error ? error.message : 'not understood';
    throw new PatternError(message.replace(/^error parsing regexp: /, '').slice(0, 200));
  }
}

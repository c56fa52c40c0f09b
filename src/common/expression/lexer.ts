import { ExpressionError } from './expression-error.js';

export type Token =
  | {
      readonly kind: 'string';
      readonly value: string;
      readonly offset: number;
      readonly end: number;
    }
  | {
      readonly kind: 'number';
      readonly value: number;
      readonly offset: number;
      readonly end: number;
    }
  /** A name at the start of a path, a keyword or a function. */
  | { readonly kind: 'name'; readonly value: string; readonly offset: number; readonly end: number }
  /** `.name`: the dot belongs to it, so that `.0` and `.a-b` are segments and no numbers. */
  | {
      readonly kind: 'member';
      readonly value: string;
      readonly offset: number;
      readonly end: number;
    }
  | { readonly kind: 'mark'; readonly value: Mark; readonly offset: number; readonly end: number }
  | { readonly kind: 'end'; readonly value: ''; readonly offset: number; readonly end: number };

export type Mark = (typeof MARKS)[number];

/** Longest first: the first that fits is taken. */
const MARKS = [
  '??', '&&', '||', '==', '!=', '<=', '>=', '${',
  '<', '>', '!', '(', ')', '[', ']', ',', '?', ':', '}',
] as const; // prettier-ignore

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["'", "'"],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** Cuts a source into tokens; the last one is `end`. @throws ExpressionError `syntax` */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = skipSpace(source, 0);
  while (at < source.length) {
    const token = readToken(source, at);
    tokens.push(token);
    at = skipSpace(source, token.end);
  }
  tokens.push({ kind: 'end', value: '', offset: at, end: at });
  return tokens;
}

function readToken(source: string, at: number): Token {
  const code = source.charCodeAt(at);
  if (code === 0x22 || code === 0x27) return readString(source, at, source.charAt(at));
  if (isDigit(code) || (code === 0x2d && isDigit(source.charCodeAt(at + 1)))) {
    return readNumber(source, at);
  }
  if (code === 0x2e) {
    const end = nameEnd(source, at + 1);
    if (end === at + 1) throw syntax('a name is missing after "."', at);
    return { kind: 'member', value: source.slice(at + 1, end), offset: at, end };
  }
  if (isNameStart(code)) {
    const end = nameEnd(source, at);
    return { kind: 'name', value: source.slice(at, end), offset: at, end };
  }
  const mark = MARKS.find((candidate) => source.startsWith(candidate, at));
  if (mark !== undefined) return { kind: 'mark', value: mark, offset: at, end: at + mark.length };
  throw syntax(explainCharacter(source, at), at);
}

function readString(source: string, start: number, quote: string): Token {
  let value = '';
  let at = start + 1;
  for (;;) {
    let run = at;
    while (run < source.length && source[run] !== quote && source[run] !== '\\') run++;
    value += source.slice(at, run);
    if (run >= source.length) throw syntax('text without a closing quote', start);
    if (source[run] === quote) return { kind: 'string', value, offset: start, end: run + 1 };
    const escape = readEscape(source, run);
    value += escape.text;
    at = escape.end;
  }
}

function readEscape(source: string, at: number): { text: string; end: number } {
  const letter = source.charAt(at + 1);
  const plain = ESCAPES.get(letter);
  if (plain !== undefined) return { text: plain, end: at + 2 };
  const digits = source.slice(at + 2, at + 6);
  if (letter === 'u' && /^[0-9a-fA-F]{4}$/.test(digits)) {
    return { text: String.fromCharCode(Number.parseInt(digits, 16)), end: at + 6 };
  }
  throw syntax(`"\\${letter}" is no escape of JSON`, at);
}

/** The number grammar of JSON (RFC 8259, section 6). */
function readNumber(source: string, start: number): Token {
  let end = start + 1;
  while (end < source.length && isNumberPart(source, end)) end++;
  const text = source.slice(start, end);
  if (!/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/.test(text)) {
    throw syntax(`"${text.slice(0, 40)}" is not a number`, start);
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw syntax('the number is out of range', start);
  return { kind: 'number', value, offset: start, end };
}

/** A sign belongs to a number only after its `e`. Letters are taken in, so that `12abc` is refused whole. */
function isNumberPart(source: string, at: number): boolean {
  const code = source.charCodeAt(at);
  if (isDigit(code) || isNameStart(code) || code === 0x2e) return true;
  const before = source.charCodeAt(at - 1) | 0x20;
  return (code === 0x2b || code === 0x2d) && before === 0x65;
}

function explainCharacter(source: string, at: number): string {
  const character = String.fromCodePoint(source.codePointAt(at) ?? 0);
  if (character === '=') return 'compare with "==": nothing is assigned in an expression';
  if ('+-*/%'.includes(character))
    return `"${character}" is not supported: there is no arithmetic here`;
  if (character === '{') return '"{" is not expected here: an expression stands without braces';
  return `unexpected ${JSON.stringify(character)}`;
}

function nameEnd(source: string, from: number): number {
  let end = from;
  while (end < source.length) {
    const code = source.charCodeAt(end);
    const isDash = code === 0x2d && end > from;
    if (!isNameStart(code) && !isDigit(code) && !isDash) break;
    end++;
  }
  return end;
}

function skipSpace(source: string, from: number): number {
  let at = from;
  while (at < source.length) {
    const code = source.charCodeAt(at);
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) break;
    at++;
  }
  return at;
}

function isNameStart(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function syntax(message: string, offset: number): ExpressionError {
  return new ExpressionError('syntax', message, offset);
}

import type { Evaluated } from '../../common/expression/function-spec.js';
import { evaluateExpression } from '../../common/expression/evaluate.js';
import type { Expression } from '../../common/expression/ast.js';
import type { Meter } from '../../common/expression/meter.js';
import type { Scope } from '../../common/expression/read-path.js';
import { writeAsText } from '../../common/expression/values.js';
import { pointerToken } from '../../common/json.js';
import type { TemplateCompiler, TemplatePlace } from './compile-template.js';
import { TemplateFault } from './template-fault.js';

/** What an expression in a URL stands for; it decides how its value is written. */
type Zone =
  /** Its beginning (`{{credential.base_url}}/v1`): as it is. */
  | 'base'
  /** All of it: any absolute URL. */
  | 'whole'
  /** Part of the host: letters, digits, dots and hyphens only. */
  | 'host'
  /** Part of the path: percent-encoded, never empty. */
  | 'path'
  /** Part of the query: percent-encoded, may be empty. */
  | 'query';

export interface UrlTemplate {
  readonly parts: readonly UrlPart[];
}

type UrlPart =
  | { readonly kind: 'literal'; readonly text: string; readonly zone: Zone }
  | {
      readonly kind: 'expression';
      readonly expression: Expression;
      readonly source: string;
      readonly zone: Zone;
    };

/** Compiles the URL of a request; what is wrong with it goes to the compiler. */
export function compileUrl(
  url: string,
  place: TemplatePlace,
  compiler: TemplateCompiler,
): UrlTemplate {
  const template = compiler.text(url, place);
  const literal = template.kind === 'constant' ? url : '';
  const given =
    template.kind === 'text' ? template.text.parts : [{ kind: 'text', text: literal } as const];
  const parts: UrlPart[] = [];
  const first: Zone = given.length === 1 ? 'whole' : 'base';
  let zone: Zone = given[0]?.kind === 'expression' ? first : 'host';
  for (const part of given) {
    if (part.kind === 'expression') {
      parts.push({ kind: 'expression', expression: part.expression, source: part.source, zone });
      if (zone === 'base') zone = 'path';
    } else {
      if (parts.length === 0) checkBeginning(part.text, place, compiler);
      const pieces = splitZones(part.text, parts.length === 0 ? 'start' : zone);
      zone = pieces.at(-1)?.zone ?? zone;
      parts.push(...pieces);
    }
  }
  checkLiterals(parts, place, compiler);
  return { parts };
}

/** @throws TemplateFault when a value doesn't fit its place; ExpressionError */
export function renderUrl(template: UrlTemplate, scope: Scope, meter: Meter): string {
  let url = '';
  let path = '';
  for (const part of template.parts) {
    const text = part.kind === 'literal' ? part.text : renderPart(part, scope, meter);
    if (part.zone === 'path') path += text;
    url += part.zone === 'base' ? asPrefix(text) : text;
  }
  // "/users/{{input.id}}/posts" with the id ".." would be another resource.
  if (hasDotSegment(path)) throw invalid('a part of the path must not be "." or ".."');
  return url;
}

const SCHEME = /^https?:\/\//;

function checkBeginning(
  text: string,
  { pointer }: TemplatePlace,
  compiler: TemplateCompiler,
): void {
  if (!SCHEME.test(text)) {
    compiler.report(
      pointer,
      'must begin with https:// or http://, or with one expression for the base URL',
    );
  }
}

function checkLiterals(
  parts: readonly UrlPart[],
  { pointer }: TemplatePlace,
  compiler: TemplateCompiler,
): void {
  const literals = parts.filter((part) => part.kind === 'literal');
  if (literals.some(({ text }) => text.includes('#')))
    compiler.report(pointer, 'a fragment (#) is never sent');
  if (literals.some(({ text }) => /[\s\\]/.test(text)))
    compiler.report(pointer, 'must hold no spaces or backslashes');
  const path = parts.filter(({ zone }) => zone === 'path');
  if (hasDotSegment(path.map((part) => (part.kind === 'literal' ? part.text : 'x')).join(''))) {
    compiler.report(pointer, 'must hold no "." or ".." in its path');
  }
  const [first, second] = parts;
  const isAfterBase = first?.zone === 'base' && second !== undefined;
  if (isAfterBase && !(second.kind === 'literal' && /^[/?]/.test(second.text))) {
    compiler.report(pointer, 'after the base URL comes "/" or "?"');
  }
}

/** Cuts a literal where the path and the query begin. */
function splitZones(text: string, from: Zone | 'start'): UrlPart[] {
  const parts: UrlPart[] = [];
  let zone: Zone = from === 'start' ? 'host' : from;
  let rest = text;
  if (zone === 'host') {
    const scheme = from === 'start' ? (SCHEME.exec(rest)?.[0].length ?? 0) : 0;
    const end = indexOrEnd(rest, /[/?]/, scheme);
    parts.push({ kind: 'literal', text: rest.slice(0, end), zone });
    rest = rest.slice(end);
    if (rest !== '') zone = 'path';
  }
  if (zone === 'path') {
    const end = indexOrEnd(rest, /\?/, 0);
    parts.push({ kind: 'literal', text: rest.slice(0, end), zone });
    rest = rest.slice(end);
    if (rest !== '') zone = 'query';
  }
  if (zone === 'query') parts.push({ kind: 'literal', text: rest, zone });
  return parts.filter((part) => part.kind === 'literal' && part.text !== '');
}

function indexOrEnd(text: string, pattern: RegExp, from: number): number {
  const at = text.slice(from).search(pattern);
  return at < 0 ? text.length : at + from;
}

function renderPart(part: UrlPart & { kind: 'expression' }, scope: Scope, meter: Meter): string {
  const value: Evaluated = evaluateExpression(part.expression, scope, { missing: 'allow', meter });
  const text = writeAsText(value, meter);
  meter.grow(text.length);
  if (text === '' && part.zone !== 'query') throw invalid(`${part.source} in the URL is empty`);
  switch (part.zone) {
    case 'base':
      if (!SCHEME.test(text))
        throw invalid(`${part.source} must be a URL that begins with https:// or http://`);
      return text;
    case 'whole':
      return readWhole(text, part, meter);
    case 'host':
      if (!/^[A-Za-z0-9.-]+$/.test(text)) throw invalid(`${part.source} is no part of a host name`);
      return text;
    case 'path':
    case 'query':
      meter.convert(text.length);
      return encodeURIComponent(text.toWellFormed());
  }
}

/**
 * A URL that is given in one piece, as it will be sent. Who gave one that is none in a parameter is
 * told which.
 */
function readWhole(
  text: string,
  { expression: { root }, source }: UrlPart & { kind: 'expression' },
  meter: Meter,
): string {
  meter.convert(text.length);
  const url = URL.parse(text);
  if (url === null) {
    const fault = `"${text}" is not an absolute URL such as https://api.example.com/items`;
    if (root.kind !== 'path' || root.root !== 'input') throw invalid(`${source}: ${fault}`);
    const pointer = root.segments.map(({ key }) => `/${pointerToken(key)}`).join('');
    throw new TemplateFault('input.invalid', fault, { pointer });
  }
  if (url.protocol === 'https:' || url.protocol === 'http:') return url.href;
  // What egress says of it, too: a rule, whose answer will be the same the next time.
  const details = { reason: 'scheme', sent: false };
  throw new TemplateFault(
    'egress.denied',
    `scheme "${url.protocol}" is not allowed; use https`,
    details,
  );
}

/** A base URL that more is written after: without its last slashes, and nothing that would swallow the rest. */
function asPrefix(base: string): string {
  if (/[?#]/.test(base)) throw invalid('the base URL must have neither query nor fragment');
  let end = base.length;
  while (base[end - 1] === '/') end--;
  return base.slice(0, end);
}

/** Also as the URL standard sees it: `%2e` is a dot. */
function hasDotSegment(path: string): boolean {
  return path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment));
}

function invalid(message: string): TemplateFault {
  return new TemplateFault('egress.invalid_request', message);
}

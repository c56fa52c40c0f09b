import type { HttpRequirement, HttpTemplate } from '@stepwell/plugin-sdk';

import type { Expression } from '../../common/expression/ast.js';
import { isJsonObject } from '../../common/json.js';
import type { JsonValue } from '../../common/json.js';
import { MAX_MANIFEST_WALL_MS } from '../sandbox.js';
import type { TemplateCompiler, TemplatePlace } from './compile-template.js';
import type { TemplateNames } from './template-names.js';
import type { Template } from './template.js';
import { compileUrl } from './url-template.js';
import type { UrlTemplate } from './url-template.js';

export interface CompiledHttp {
  readonly require: readonly CompiledRequirement[];
  readonly method: Template;
  readonly url: UrlTemplate;
  readonly query: Template | null;
  readonly headers: Template | null;
  readonly body: Template | null;
  readonly bodyAs: NonNullable<HttpTemplate['bodyAs']>;
  readonly form: Template | null;
  readonly timeoutMs: Template | null;
  readonly okWhen: Expression | null;
  readonly errorMessage: Template | null;
  readonly errorCode: Expression | null;
  readonly output: Template | null;
}

export interface CompiledRequirement {
  readonly that: Expression;
  readonly message: Template;
  readonly pointer: string | null;
}

/** The names that the parts of a request may use. */
export interface HttpNames {
  /** Of what is sent. */
  readonly request: TemplateNames;
  /** Of what is made of the answer. */
  readonly response: TemplateNames;
  /** Of what has to hold before. */
  readonly input: TemplateNames;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export function isMethod(method: string): boolean {
  return METHODS.includes(method);
}

/** Compiles an HTTP template; what is wrong with it goes to the compiler. */
export function compileHttp(
  http: HttpTemplate,
  compiler: TemplateCompiler,
  names: HttpNames,
): CompiledHttp {
  const at = (field: keyof HttpTemplate, of: TemplateNames): TemplatePlace => ({
    pointer: `/http/${field}`,
    names: of,
  });
  const template = (
    field: 'query' | 'headers' | 'body' | 'form' | 'output' | 'errorMessage',
    of: TemplateNames,
  ): Template | null => {
    const value: JsonValue | undefined = http[field];
    return value === undefined ? null : compiler.template(value, at(field, of));
  };
  const expression = (field: 'okWhen' | 'errorCode'): Expression | null =>
    http[field] === undefined ? null : compiler.expression(http[field], at(field, names.response));
  checkParts(http, compiler);
  return {
    require: (http.require ?? []).map((requirement, index) =>
      compileRequirement(requirement, compiler, {
        pointer: `/http/require/${String(index)}`,
        names: names.input,
      }),
    ),
    method: compiler.text(http.method, at('method', names.request)),
    url: compileUrl(http.url, at('url', names.request), compiler),
    query: template('query', names.request),
    headers: template('headers', names.request),
    body: template('body', names.request),
    bodyAs: http.bodyAs ?? 'json',
    form: template('form', names.request),
    timeoutMs: compileTimeout(http.timeoutMs, at('timeoutMs', names.request), compiler),
    okWhen: expression('okWhen'),
    errorMessage: template('errorMessage', names.response),
    errorCode: expression('errorCode'),
    output: template('output', names.response),
  };
}

function checkParts(http: HttpTemplate, compiler: TemplateCompiler): void {
  for (const field of ['query', 'headers', 'form'] as const) {
    if (http[field] !== undefined && !isJsonObject(http[field])) {
      compiler.report(`/http/${field}`, 'must be an object; spread one into it with "$spread"');
    }
  }
  if (http.body !== undefined && http.form !== undefined) {
    compiler.report('/http/form', 'stands beside "body": a request has only one of them');
  }
  if (http.bodyAs !== undefined && http.body === undefined) {
    compiler.report('/http/bodyAs', 'says how "body" is sent, and there is none');
  }
  if (!http.method.includes('{{') && !isMethod(http.method)) {
    compiler.report('/http/method', `must be one of ${METHODS.join(', ')}, or an expression`);
  }
}

function compileRequirement(
  { that, message, pointer }: HttpRequirement,
  compiler: TemplateCompiler,
  place: TemplatePlace,
): CompiledRequirement {
  const at = (field: string): TemplatePlace => ({
    ...place,
    pointer: `${place.pointer}/${field}`,
  });
  return {
    that: compiler.expression(that, at('that')),
    message: compiler.text(message, at('message')),
    pointer: pointer ?? null,
  };
}

function compileTimeout(
  timeoutMs: HttpTemplate['timeoutMs'],
  place: TemplatePlace,
  compiler: TemplateCompiler,
): Template | null {
  if (timeoutMs === undefined) return null;
  const template = compiler.template(timeoutMs, place);
  if (template.kind === 'constant' && template.value === timeoutMs && !isTimeoutMs(timeoutMs)) {
    compiler.report(
      place.pointer,
      `must be 1 to ${String(MAX_MANIFEST_WALL_MS)} milliseconds, or an expression`,
    );
  }
  return template;
}

/** A whole number of milliseconds; the limits of the step cut it further. */
export function isTimeoutMs(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_MANIFEST_WALL_MS;
}

import type { ActionManifest, CredentialManifest, HttpTemplate } from '@stepwell/plugin-sdk';

import type { Expression } from '../../common/expression/ast.js';
import { isJsonObject } from '../../common/json.js';
import type { JsonValue } from '../../common/json.js';
import { TemplateCompiler } from './compile-template.js';
import type { TemplatePlace, TemplateProblem } from './compile-template.js';
import { compileWait } from './compile-wait.js';
import type { CompiledWait } from './compile-wait.js';
import { TemplateNames } from './template-names.js';
import type { Template } from './template.js';
import { compileUrl } from './url-template.js';
import type { UrlTemplate } from './url-template.js';

/** A declarative action, ready to run. */
export type CompiledAction =
  | { readonly form: 'value'; readonly value: Template }
  | { readonly form: 'http'; readonly http: CompiledHttp }
  | { readonly form: 'wait'; readonly wait: CompiledWait };

export interface CompiledHttp {
  readonly method: Template;
  readonly url: UrlTemplate;
  readonly query: Template | null;
  readonly headers: Template | null;
  readonly body: Template | null;
  readonly form: Template | null;
  readonly okWhen: Expression | null;
  readonly errorMessage: Template | null;
  readonly errorCode: Expression | null;
  readonly output: Template | null;
}

/**
 * Every problem in the templates of an action, by JSON Pointer into it; none for an action with code.
 * @param credential the type of credential that the action names: then its fields are known
 */
export function findTemplateProblems(
  action: ActionManifest,
  credential?: CredentialManifest,
): TemplateProblem[] {
  return action.form === 'code' ? [] : compileAction(action, credential).problems;
}

/** @returns the compiled action, which may be run only when there are no problems */
export function compileAction(
  action: ActionManifest,
  credential?: CredentialManifest,
): {
  compiled: CompiledAction;
  problems: TemplateProblem[];
} {
  const compiler = new TemplateCompiler(action.input);
  const { input } = action;
  const names = (...known: string[]): TemplateNames =>
    TemplateNames.of(known, { input, credential });
  if (action.form === 'http') {
    const { http } = action;
    if (http === undefined)
      compiler.report('/http', 'is missing: an action of the form "http" has a request');
    const request = action.credential === undefined ? [] : ['credential'];
    const compiled = compileHttp(http ?? { method: 'GET', url: 'https://invalid/' }, compiler, {
      request: names('input', 'idempotencyKey', ...request),
      response: names('input', 'response'),
    });
    return { compiled: { form: 'http', http: compiled }, problems: compiler.problems };
  }
  if (action.form === 'wait') {
    const wait = compileWait(action.wait, names('input'), compiler);
    return { compiled: { form: 'wait', wait }, problems: compiler.problems };
  }
  if (action.value === undefined) {
    compiler.report('/value', 'is missing: an action of the form "value" has a template');
  }
  const value = compiler.template(action.value ?? null, {
    pointer: '/value',
    names: names('input'),
  });
  return { compiled: { form: 'value', value }, problems: compiler.problems };
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export function isMethod(method: string): boolean {
  return METHODS.includes(method);
}

function compileHttp(
  http: HttpTemplate,
  compiler: TemplateCompiler,
  names: { request: TemplateNames; response: TemplateNames },
): CompiledHttp {
  const at = (field: keyof HttpTemplate, of: TemplateNames): TemplatePlace => ({
    pointer: `/http/${field}`,
    names: of,
  });
  const optional = (
    field: 'query' | 'headers' | 'body' | 'form' | 'output',
    of: TemplateNames,
  ): Template | null => {
    const value: JsonValue | undefined = http[field];
    return value === undefined ? null : compiler.template(value, at(field, of));
  };
  for (const field of ['query', 'headers', 'form'] as const) {
    if (http[field] !== undefined && !isJsonObject(http[field])) {
      compiler.report(`/http/${field}`, 'must be an object; spread one into it with "$spread"');
    }
  }
  if (http.body !== undefined && http.form !== undefined) {
    compiler.report('/http/form', 'stands beside "body": a request has only one of them');
  }
  checkMethod(http.method, compiler);
  return {
    method: compiler.text(http.method, at('method', names.request)),
    url: compileUrl(http.url, at('url', names.request), compiler),
    query: optional('query', names.request),
    headers: optional('headers', names.request),
    body: optional('body', names.request),
    form: optional('form', names.request),
    okWhen:
      http.okWhen === undefined
        ? null
        : compiler.expression(http.okWhen, at('okWhen', names.response)),
    errorMessage:
      http.errorMessage === undefined
        ? null
        : compiler.text(http.errorMessage, at('errorMessage', names.response)),
    errorCode:
      http.errorCode === undefined
        ? null
        : compiler.expression(http.errorCode, at('errorCode', names.response)),
    output: optional('output', names.response),
  };
}

function checkMethod(method: string, compiler: TemplateCompiler): void {
  if (method.includes('{{') || isMethod(method)) return;
  compiler.report('/http/method', `must be one of ${METHODS.join(', ')}, or an expression`);
}

import type { ActionManifest, CredentialManifest } from '@stepwell/plugin-sdk';

import { compileHttp } from './compile-http.js';
import type { CompiledHttp } from './compile-http.js';
import { TemplateCompiler } from './compile-template.js';
import type { TemplateProblem } from './compile-template.js';
import { compileWait } from './compile-wait.js';
import type { CompiledWait } from './compile-wait.js';
import { TemplateNames } from './template-names.js';
import type { Template } from './template.js';

/** A declarative action, ready to run. */
export type CompiledAction =
  | { readonly form: 'value'; readonly value: Template }
  | { readonly form: 'http'; readonly http: CompiledHttp }
  | { readonly form: 'wait'; readonly wait: CompiledWait };

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
      input: names('input'),
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

import { ExpressionError } from '../../common/expression/expression-error.js';
import type { JsonObject } from '../../common/json.js';
import { stepFailed } from '../../common/provider-result.js';
import type { ProviderResult, StepErrorCode } from '../../common/provider-result.js';

const MAX_MESSAGE_CHARACTERS = 500;

/** Why a template came to nothing; never leaves this folder. */
export class TemplateFault extends Error {
  constructor(
    readonly code: StepErrorCode,
    message: string,
    readonly details?: JsonObject,
  ) {
    super(message);
    this.name = 'TemplateFault';
  }
}

/** The result of a step whose template failed. @throws what is no failure of a template */
export function failureOf(error: unknown): ProviderResult {
  if (error instanceof TemplateFault) {
    return stepFailed(
      error.code,
      cut(error.message),
      error.details ? { details: error.details } : {},
    );
  }
  if (!(error instanceof ExpressionError)) throw error;
  const where = error.within === undefined ? '' : ` in ${error.within}`;
  switch (error.reason) {
    case 'steps':
      return stepFailed('plugin.cpu_exceeded', 'the template takes more steps than its budget');
    case 'size':
      return stepFailed('plugin.output_too_large', 'the template makes values that are too large');
    case 'syntax':
    case 'type':
    case 'missing':
      return stepFailed('plugin.threw', cut(`the template failed: ${error.message}${where}`));
  }
}

/** What a plan's author wrote into a parameter is the author's fault, not the plugin's. */
export function parameterFault(error: unknown, pointer: string): unknown {
  if (!(error instanceof ExpressionError) || error.reason === 'steps' || error.reason === 'size')
    return error;
  const code = error.reason === 'missing' ? 'reference.missing' : 'input.invalid';
  return new TemplateFault(code, `the expression in ${pointer}: ${error.message}`, { pointer });
}

export function cut(text: string, characters = MAX_MESSAGE_CHARACTERS): string {
  return text.length <= characters ? text : `${text.slice(0, characters).toWellFormed()}...`;
}

import type { Expression } from '../../common/expression/ast.js';
import { evaluateExpression } from '../../common/expression/evaluate.js';
import { DEFAULT_EVALUATION_LIMITS, Meter } from '../../common/expression/meter.js';
import { parseExpression } from '../../common/expression/parse-expression.js';
import type { Scope } from '../../common/expression/read-path.js';
import { isTruthy } from '../../common/expression/values.js';

/**
 * Parses a `when`: comparisons and `&& || !` over literals and references, those bare or in braces:
 * `${steps.a.success} == true && input.count > 3`.
 * @throws ExpressionError `syntax`
 */
export function parseWhen(text: string): Expression {
  return parseExpression(text, { dollarBraces: true });
}

/**
 * Whether the step runs. Null, false, 0 and empty text are false, everything else is true.
 * @throws ExpressionError `missing` when a path leads nowhere and no `??` allows for it, `type` when
 *   an order makes no sense, `steps` past the budget of one evaluation or that of `shared`
 * @param shared what all evaluations of a run may take together; only its steps are charged
 */
export function evaluateWhen(when: Expression, scope: Scope, shared?: Meter): boolean {
  const meter = new Meter(DEFAULT_EVALUATION_LIMITS, shared);
  return isTruthy(evaluateExpression(when, scope, { meter }));
}

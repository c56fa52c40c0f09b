import type { CallNode, CompareNode, Expression, ExpressionNode, LogicalNode } from './ast.js';
import { ExpressionError } from './expression-error.js';
import type { Evaluated } from './function-spec.js';
import { Meter } from './meter.js';
import { readSegments } from './read-path.js';
import type { Scope } from './read-path.js';
import { equalJson, isTruthy, typeName } from './values.js';

export interface EvaluateOptions {
  /**
   * What a path does that leads nowhere: `fail` throws `missing` unless `??` catches it, `allow`
   * makes it `undefined`. Default: `fail`.
   */
  readonly missing?: 'fail' | 'allow';
  /** Shared by the evaluations of one template. Default: a fresh one with the default limits. */
  readonly meter?: Meter;
}

/**
 * Evaluates a parsed expression. Synchronous, without side effects, bounded by the meter.
 * @returns the value; `undefined` only with `missing: 'allow'`
 * @throws ExpressionError, and nothing else
 */
export function evaluateExpression(
  expression: Expression,
  scope: Scope,
  options: EvaluateOptions = {},
): Evaluated {
  const failsOnMissing = (options.missing ?? 'fail') === 'fail';
  return evaluate(expression.root, { scope, failsOnMissing, meter: options.meter ?? new Meter() });
}

interface Evaluation {
  readonly scope: Scope;
  readonly failsOnMissing: boolean;
  readonly meter: Meter;
}

/** `mayMiss`: the node is the left side of `??`, so a path that leads nowhere is no failure. */
function evaluate(node: ExpressionNode, run: Evaluation, mayMiss = false): Evaluated {
  run.meter.step(1, node.offset);
  switch (node.kind) {
    case 'literal':
      return node.value;
    case 'path':
      run.meter.step(node.segments.length, node.offset);
      return found(run.scope.resolve(node), node.text, { node, run, mayMiss });
    case 'member': {
      run.meter.step(node.segments.length, node.offset);
      const value = readSegments(evaluate(node.object, run, mayMiss), node.segments);
      return found(value, node.segments.map((segment) => segment.key).join('.'), {
        node,
        run,
        mayMiss,
      });
    }
    case 'not':
      return !isTruthy(evaluate(node.operand, run));
    case 'logical':
      return evaluateLogical(node, run, mayMiss);
    case 'compare':
      return evaluateComparison(node, run);
    case 'condition':
      return evaluate(
        isTruthy(evaluate(node.test, run)) ? node.whenTrue : node.whenFalse,
        run,
        mayMiss,
      );
    case 'call':
      return evaluateCall(node, run);
  }
}

function found(
  value: Evaluated,
  text: string,
  at: { node: ExpressionNode; run: Evaluation; mayMiss: boolean },
): Evaluated {
  if (value === undefined && at.run.failsOnMissing && !at.mayMiss) {
    throw new ExpressionError('missing', `"${text}" is missing`, at.node.offset);
  }
  return value;
}

/** `&&` and `||` yield one of their operands, as in JavaScript; the right one only when needed. */
function evaluateLogical(node: LogicalNode, run: Evaluation, mayMiss: boolean): Evaluated {
  const left = evaluate(node.left, run, node.operator === '??');
  const takesLeft =
    node.operator === '??'
      ? left !== undefined && left !== null
      : isTruthy(left) === (node.operator === '||');
  return takesLeft ? left : evaluate(node.right, run, mayMiss);
}

function evaluateComparison(node: CompareNode, run: Evaluation): boolean {
  const left = evaluate(node.left, run);
  const right = evaluate(node.right, run);
  if (node.operator === '==') return equalJson(left, right, run.meter);
  if (node.operator === '!=') return !equalJson(left, right, run.meter);
  if (typeof left === 'number' && typeof right === 'number')
    return isOrdered(node.operator, left - right);
  if (typeof left === 'string' && typeof right === 'string') {
    run.meter.read(Math.min(left.length, right.length));
    // By UTF-16 code unit: the same on every machine, whatever its locale.
    return isOrdered(node.operator, left < right ? -1 : left > right ? 1 : 0);
  }
  const types = `${typeName(left)} and ${typeName(right)}`;
  const message = `"${node.operator}" compares two numbers or two texts, not ${types}`;
  throw new ExpressionError('type', message, node.offset);
}

function isOrdered(operator: '<' | '<=' | '>' | '>=', difference: number): boolean {
  switch (operator) {
    case '<':
      return difference < 0;
    case '<=':
      return difference <= 0;
    case '>':
      return difference > 0;
    case '>=':
      return difference >= 0;
  }
}

function evaluateCall(node: CallNode, run: Evaluation): Evaluated {
  const args = node.args.map((arg) => evaluate(arg, run));
  return node.called.call(args, {
    meter: run.meter,
    error: (message) => new ExpressionError('type', `${node.called.name}: ${message}`, node.offset),
  });
}

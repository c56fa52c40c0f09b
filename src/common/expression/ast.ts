import type { JsonPrimitive } from '../json.js';
import type { ExpressionFunction } from './function-spec.js';

/** A parsed expression: immutable, so one parse serves any number of evaluations. */
export interface Expression {
  readonly source: string;
  readonly root: ExpressionNode;
  /** Every path in it, in the order of the text: what validation looks at. */
  readonly paths: readonly PathNode[];
}

export type ExpressionNode =
  | LiteralNode
  | PathNode
  | MemberNode
  | NotNode
  | LogicalNode
  | CompareNode
  | ConditionNode
  | CallNode;

export interface LiteralNode {
  readonly kind: 'literal';
  readonly value: JsonPrimitive;
  readonly offset: number;
}

/** `steps.a.output[0]`: the root name and what follows it. */
export interface PathNode {
  readonly kind: 'path';
  readonly root: string;
  readonly segments: readonly PathSegment[];
  /** As written, for messages. */
  readonly text: string;
  readonly offset: number;
}

/** `.name`, `["name"]` or `[0]` after something that isn't a plain path: `first(input.list).name`. */
export interface MemberNode {
  readonly kind: 'member';
  readonly object: ExpressionNode;
  readonly segments: readonly PathSegment[];
  readonly offset: number;
}

export interface NotNode {
  readonly kind: 'not';
  readonly operand: ExpressionNode;
  readonly offset: number;
}

export interface LogicalNode {
  readonly kind: 'logical';
  readonly operator: '&&' | '||' | '??';
  readonly left: ExpressionNode;
  readonly right: ExpressionNode;
  readonly offset: number;
}

export type CompareOperator = '==' | '!=' | '<' | '<=' | '>' | '>=';

export interface CompareNode {
  readonly kind: 'compare';
  readonly operator: CompareOperator;
  readonly left: ExpressionNode;
  readonly right: ExpressionNode;
  readonly offset: number;
}

export interface ConditionNode {
  readonly kind: 'condition';
  readonly test: ExpressionNode;
  readonly whenTrue: ExpressionNode;
  readonly whenFalse: ExpressionNode;
  readonly offset: number;
}

export interface CallNode {
  readonly kind: 'call';
  readonly called: ExpressionFunction;
  readonly args: readonly ExpressionNode[];
  readonly offset: number;
}

export interface PathSegment {
  readonly key: string;
  /** The position that the key names in an array, or -1 when it names none. */
  readonly index: number;
}

/** Only `0`, `1`, `42`: so `[07]` and `[1e1]` name no array item. */
export function pathSegment(key: string): PathSegment {
  return { key, index: /^(?:0|[1-9][0-9]{0,8})$/.test(key) ? Number(key) : -1 };
}

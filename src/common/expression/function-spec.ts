import type { JsonValue } from '../json.js';
import type { ExpressionError } from './expression-error.js';
import type { Meter } from './meter.js';

/** What an expression yields: `undefined` stands for a path that leads nowhere. */
export type Evaluated = JsonValue | undefined;

/** One function of the fixed list. Pure, and its work is linear in the size of its arguments. */
export interface ExpressionFunction {
  readonly name: string;
  readonly minArgs: number;
  readonly maxArgs: number;
  /** `upper(text)`, for the documentation. */
  readonly usage: string;
  /** One line, for the documentation. */
  readonly description: string;
  call(args: readonly Evaluated[], context: CallContext): Evaluated;
}

export interface CallContext {
  readonly meter: Meter;
  /** Makes the error for a wrong argument; its message begins with the function's name. */
  error(message: string): ExpressionError;
}

/**
 * `syntax`: the text doesn't parse. `type`: an operand or argument is of the wrong kind. `missing`: a
 * path leads nowhere. `steps`, `size`: the evaluation took or made more than its budget.
 */
export type ExpressionFault = 'syntax' | 'type' | 'missing' | 'steps' | 'size';

/** The only thing that parsing or evaluating an expression throws. */
export class ExpressionError extends Error {
  constructor(
    readonly reason: ExpressionFault,
    message: string,
    /** Where in the source, in UTF-16 units from its start. */
    readonly offset: number,
    /** The expression with its brackets, when it stands in a longer text. */
    readonly within?: string,
  ) {
    super(message);
    this.name = 'ExpressionError';
  }
}

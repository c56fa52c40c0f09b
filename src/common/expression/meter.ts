import { ExpressionError } from './expression-error.js';

export interface EvaluationLimits {
  /** Units of work: one per node, item touched, or 256 characters read. */
  readonly maxSteps: number;
  /** Characters and items that may be made anew, in total. */
  readonly maxSize: number;
}

/** About 10 ms of one core at worst: expressions run on the host's own thread. */
export const DEFAULT_EVALUATION_LIMITS: EvaluationLimits = {
  maxSteps: 100_000,
  maxSize: 4 * 1024 * 1024,
};

const CHARACTERS_PER_STEP = 256;
const CHARACTERS_PER_SEARCH_STEP = 32;

/**
 * What one evaluation has left. Work is charged before it is done, so a `replace` that would make a
 * terabyte fails before it makes a byte.
 */
export class Meter {
  private stepsLeft: number;
  private sizeLeft: number;

  constructor(limits: EvaluationLimits = DEFAULT_EVALUATION_LIMITS) {
    this.stepsLeft = limits.maxSteps;
    this.sizeLeft = limits.maxSize;
  }

  get remainingSize(): number {
    return this.sizeLeft;
  }

  /** @throws ExpressionError `steps` */
  step(count = 1, offset = 0): void {
    this.stepsLeft -= count;
    if (this.stepsLeft < 0) throw new ExpressionError('steps', 'takes too many steps', offset);
  }

  /** Charges for looking at text. @throws ExpressionError `steps` */
  read(characters: number): void {
    if (characters >= CHARACTERS_PER_STEP) this.step(Math.ceil(characters / CHARACTERS_PER_STEP));
  }

  /** Charges for searching through text, which takes longer than reading it. @throws ExpressionError `steps` */
  search(characters: number): void {
    this.step(Math.ceil(characters / CHARACTERS_PER_SEARCH_STEP));
  }

  /** Charges for making text, items or members. @throws ExpressionError `size` or `steps` */
  grow(size: number): void {
    this.sizeLeft -= size;
    if (this.sizeLeft < 0) throw new ExpressionError('size', 'makes a value that is too large', 0);
    this.read(size);
  }
}

import { ExpressionError } from './expression-error.js';

export interface EvaluationLimits {
  /** Units of work: one per node, path segment, member or item touched, or 256 characters read. */
  readonly maxSteps: number;
  /** Characters and items that may be made anew, in total. */
  readonly maxSize: number;
}

/**
 * Of one evaluation. A step takes up to 0.2 µs (members of large objects, measured), so this is 10 ms
 * of one core, and 30 ms when a single look at a large object for the first time goes past it:
 * expressions run on the host's own thread. A plan of 500 steps evaluates 1,000 times (`when` and
 * references), so 10 s at worst, in turns that let others in between; a meter that a run shares
 * bounds that to its own steps: 1,000,000 are 0.2 s.
 */
export const DEFAULT_EVALUATION_LIMITS: EvaluationLimits = {
  maxSteps: 50_000,
  maxSize: 4 * 1024 * 1024,
};

const CHARACTERS_PER_STEP = 256;
const CHARACTERS_PER_SEARCH_STEP = 32;
const CHARACTERS_PER_CONVERSION_STEP = 16;
const ITEMS_PER_BULK_STEP = 16;

/**
 * What one evaluation has left. Work is charged before it is done, so a `replace` that would make a
 * terabyte fails before it makes a byte.
 */
export class Meter {
  private stepsLeft: number;
  private sizeLeft: number;

  /** @param shared is charged every step as well: what several evaluations may take together */
  constructor(
    limits: EvaluationLimits = DEFAULT_EVALUATION_LIMITS,
    private readonly shared?: Meter,
  ) {
    this.stepsLeft = limits.maxSteps;
    this.sizeLeft = limits.maxSize;
  }

  get remainingSize(): number {
    return this.sizeLeft;
  }

  /** Negative once the budget was overdrawn. */
  get remainingSteps(): number {
    return this.stepsLeft;
  }

  /** @throws ExpressionError `steps` */
  step(count = 1, offset = 0): void {
    this.stepsLeft -= count;
    if (this.stepsLeft < 0) throw new ExpressionError('steps', 'takes too many steps', offset);
    this.shared?.step(count, offset);
  }

  /** Charges for looking at text. @throws ExpressionError `steps` */
  read(characters: number): void {
    if (characters >= CHARACTERS_PER_STEP) this.step(Math.ceil(characters / CHARACTERS_PER_STEP));
  }

  /** Charges for searching through text, which takes longer than reading it. @throws ExpressionError `steps` */
  search(characters: number): void {
    this.step(Math.ceil(characters / CHARACTERS_PER_SEARCH_STEP));
  }

  /** Charges for parsing or encoding text, which takes longer still. @throws ExpressionError `steps` */
  convert(characters: number): void {
    this.step(Math.ceil(characters / CHARACTERS_PER_CONVERSION_STEP));
  }

  /** Charges for items that are copied or counted in bulk. @throws ExpressionError `steps` */
  bulk(items: number): void {
    this.step(Math.ceil(items / ITEMS_PER_BULK_STEP));
  }

  /** Charges for making text, items or members. @throws ExpressionError `size` or `steps` */
  grow(size: number): void {
    this.sizeLeft -= size;
    if (this.sizeLeft < 0) throw new ExpressionError('size', 'makes a value that is too large', 0);
    this.read(size);
  }
}

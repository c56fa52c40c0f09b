import { isJsonObject, type JsonObject, type JsonValue } from '../common/json.js';
import {
  stepFailed,
  stepSucceeded,
  type ProviderResult,
  type StepError,
} from '../common/provider-result.js';
import type { OnError } from '../plans/rules/plan-definition.js';
import { BlobHandle, HeldList, measure } from './blobs/blob-handle.js';
import { MAX_LOADED_BYTES } from './blobs/run-outputs.js';
import type { JournalEntry } from './run-store.js';

/** Failed items that a result names; their number is told in any case. */
const MAX_NAMED_INDEXES = 100;
const MAX_INDEXES_IN_MESSAGE = 5;

/** Entries for the step as a whole. */
type LoopEntry = Exclude<JournalEntry, { status: 'skipped' | 'waiting' }>;
export type LoopEnd = Exclude<LoopEntry, { status: 'started' }>;

/** Where one `for_each` stands, in memory: what its items gave, without what led there. */
export class LoopState {
  private readonly outputs = new Map<number, JsonValue | BlobHandle>();
  private readonly failed = new Set<number>();
  private firstFailure: { index: number; error: StepError } | null = null;
  /** The last entry of the journal for the step as a whole. */
  private whole: LoopEntry | null = null;

  /** @param keep what is kept of an item's output: itself, or its handle when it is large */
  constructor(
    private readonly keep: (index: number, output: JsonValue) => JsonValue | BlobHandle,
  ) {}

  /** Whether it has begun, so that its list isn't to be doubted any more, and has not ended. */
  get isUnderWay(): boolean {
    return this.whole?.status === 'started';
  }

  /** How often the step as a whole was begun, this time included. */
  get attempt(): number {
    if (this.whole === null) return 1;
    return this.isUnderWay ? this.whole.attempt : this.whole.attempt + 1;
  }

  /** When it began, while it is under way. */
  get startedAt(): Date | null {
    return this.isUnderWay ? (this.whole?.startedAt ?? null) : null;
  }

  /** How many items there were when it began; null before that. */
  get total(): number | null {
    return this.whole && itemsTotal(this.whole.input);
  }

  /** How it ended before, or null: only the whole entry's last word, without its output. */
  get ended(): LoopEnd | null {
    return this.whole === null || this.whole.status === 'started' ? null : this.whole;
  }

  get doneCount(): number {
    return this.outputs.size + this.failed.size;
  }

  get failedCount(): number {
    return this.failed.size;
  }

  isDone(index: number): boolean {
    return this.outputs.has(index) || this.failed.has(index);
  }

  hasFailedAt(index: number): boolean {
    return this.failed.has(index);
  }

  /** Takes an entry for the step as a whole. */
  begin(entry: LoopEntry): void {
    this.whole = entry;
  }

  /** @param handle where the output stands, if it isn't in the result */
  record(
    index: number,
    { success, output, error }: ProviderResult,
    handle: BlobHandle | null = null,
  ): void {
    if (success) {
      this.outputs.set(index, handle ?? this.keep(index, output));
      return;
    }
    this.failed.add(index);
    if (error) this.firstFailure ??= { index, error };
  }

  /** In the order of the items; null where one failed, or gave something large. */
  listOutputs(total: number): JsonValue[] {
    return this.listKept(total).map((output) => (output instanceof BlobHandle ? null : output));
  }

  /** The same with the handles of what is large; null: nothing is. */
  heldList(total: number): HeldList | null {
    const items = this.listKept(total);
    if (!items.some((item) => item instanceof BlobHandle)) return null;
    const sizes = items.map((item) =>
      item instanceof BlobHandle ? item.bytes : measure(item, MAX_LOADED_BYTES).bytes,
    );
    return new HeldList(
      items,
      sizes.reduce((sum, bytes) => sum + bytes, 0),
    );
  }

  /**
   * The result of the step: an error when an item failed and `stop` was asked for, or when none of
   * them succeeded.
   */
  summarise(total: number, onError: OnError): ProviderResult {
    const [succeeded, failed] = [this.outputs.size, this.failed.size];
    const indexes = [...this.failed].sort((a, b) => a - b);
    const items: JsonObject = {
      ...{ total, succeeded, failed },
      failed_indexes: indexes.slice(0, MAX_NAMED_INDEXES),
    };
    const first = this.firstFailure;
    if (first && (onError === 'stop' || succeeded === 0)) {
      const { code, message, retryable, details } = first.error;
      const { index } = first;
      return stepFailed(code, `item ${String(index)}: ${message}`, {
        retryable,
        details: { ...details, index, succeeded, failed, total },
        metadata: { items },
      });
    }
    const done = stepSucceeded(this.listOutputs(total), { items });
    return failed === 0 ? done : { ...done, message: describeFailures(indexes, total) };
  }

  private listKept(total: number): (JsonValue | BlobHandle)[] {
    return Array.from({ length: total }, (_, index) => this.outputs.get(index) ?? null);
  }
}

/** How many items a `for_each` has, by the input of an entry for the step as a whole. */
export function itemsTotal(input: JsonValue): number | null {
  const total = isJsonObject(input) ? input['total'] : undefined;
  return typeof total === 'number' ? total : null;
}

function describeFailures(indexes: readonly number[], total: number): string {
  const named = indexes.slice(0, MAX_INDEXES_IN_MESSAGE).join(', ');
  const more = indexes.length - MAX_INDEXES_IN_MESSAGE;
  const rest = more > 0 ? ` and ${String(more)} more` : '';
  return `${String(indexes.length)} of ${String(total)} items failed: ${named}${rest}`;
}

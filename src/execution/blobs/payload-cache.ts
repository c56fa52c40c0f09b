import type { JsonValue } from '../../common/json.js';
import type { BlobHandle } from './blob-handle.js';

/** Large values that were used last. */
export class PayloadCache {
  /** In the order of their last use. */
  private readonly values = new Map<string, { value: JsonValue; bytes: number }>();
  private bytes = 0;

  constructor(private readonly maxBytes: number) {}

  /** Undefined: it isn't here any more. */
  find({ id }: BlobHandle): JsonValue | undefined {
    const found = this.values.get(id);
    if (!found) return undefined;
    this.values.delete(id);
    this.values.set(id, found);
    return found.value;
  }

  put({ id, bytes }: BlobHandle, value: JsonValue): void {
    this.drop(id);
    if (bytes > this.maxBytes) return;
    this.values.set(id, { value, bytes });
    this.bytes += bytes;
    for (const oldest of this.values.keys()) {
      if (this.bytes <= this.maxBytes) return;
      this.drop(oldest);
    }
  }

  private drop(id: string): void {
    this.bytes -= this.values.get(id)?.bytes ?? 0;
    this.values.delete(id);
  }
}

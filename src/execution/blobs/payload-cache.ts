import type { JsonValue } from '../../common/json.js';
import { WeighedCache } from '../../common/weighed-cache.js';
import type { BlobHandle } from './blob-handle.js';

/** Large values that were used last. */
export class PayloadCache {
  private readonly values: WeighedCache<JsonValue>;

  constructor(maxBytes: number) {
    this.values = new WeighedCache(maxBytes);
  }

  /** Undefined: it isn't here any more. */
  find({ id }: BlobHandle): JsonValue | undefined {
    return this.values.get(id);
  }

  put({ id, bytes }: BlobHandle, value: JsonValue): void {
    this.values.set(id, value, bytes);
  }
}

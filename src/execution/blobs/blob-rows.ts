import { toStorableJson, type JsonValue } from '../../common/json.js';
import { MAX_IN_ROW_BYTES, mayBeLarge, type BlobHandle } from './blob-handle.js';

/** The blobs of one write, as `flush_runs` reads them. Their texts are made once. */
export class BlobRows {
  private readonly texts = new Map<string, string>();

  /** A field of a row: the value itself, or where it stands when it is too large for the row. */
  field(
    name: 'input' | 'output',
    value: JsonValue,
    stands: { handle: BlobHandle | undefined; idOf: () => string },
  ): Record<string, JsonValue> {
    if (stands.handle) return { [`${name}_blob`]: stands.handle.id };
    if (!mayBeLarge(value)) return { [name]: value };
    const text = toStorableJson(value);
    const bytes = Buffer.byteLength(text);
    if (bytes <= MAX_IN_ROW_BYTES) return { [name]: value };
    const id = stands.idOf();
    this.texts.set(id, `{"id":"${id}","bytes":${String(bytes)},"value":${text}}`);
    return { [`${name}_blob`]: id };
  }

  /** The text of a write together with its blobs. */
  writeWith(write: Record<string, unknown>): string {
    const text = toStorableJson(write);
    if (this.texts.size === 0) return text;
    return `${text.slice(0, -1)},"blobs":[${[...this.texts.values()].join()}]}`;
  }
}

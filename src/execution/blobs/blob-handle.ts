import { createHash } from 'node:crypto';

import { estimateJsonSize } from '../../common/expression/values.js';
import { toStorableJson, type JsonValue } from '../../common/json.js';
import type { JournalEntry, Lease } from '../run-store.js';

/** Of the JSON text of one value; what takes more gets a row of its own in `execution_blobs`. */
export const MAX_IN_ROW_BYTES = 64 * 1024;

/** Stands for a value that is too large for the row that it belongs to. */
export class BlobHandle {
  constructor(
    readonly id: string,
    /** Of its JSON text. */
    readonly bytes: number,
  ) {}
}

/** The output of a `for_each` some of whose items gave large ones, in the order of the items. */
export class HeldList {
  constructor(
    readonly items: readonly (JsonValue | BlobHandle)[],
    readonly bytes: number,
  ) {}
}

/** Where a journal entry's input and output stand, if they were stored as blobs; it holds null there. */
export interface EntryBlobs {
  input?: BlobHandle;
  output?: BlobHandle;
}

/**
 * How much a value takes as JSON: exactly when it may be large, else a lower bound. Past `maxBytes` it
 * may stop counting.
 */
export function measure(value: JsonValue, maxBytes: number): { bytes: number; isLarge: boolean } {
  const bytes = estimateJsonSize(value, maxBytes);
  if (bytes > maxBytes) return { bytes, isLarge: true };
  return isSurelySmall(bytes) ? { bytes, isLarge: false } : measureText(value);
}

/** Whether it is worth the while to make the text of a value, to see how large it is. */
export function mayBeLarge(value: JsonValue): boolean {
  return !isSurelySmall(estimateJsonSize(value, MAX_IN_ROW_BYTES));
}

// Ids are made of what a blob belongs to, so that a write that is repeated, by this host or by the one
// that takes over, stores it once.

/** Of a place's output: there is but one, since what has succeeded isn't run again. */
export function outputBlobId(
  executionId: string,
  { stepId, iteration }: Pick<JournalEntry, 'stepId' | 'iteration'>,
): string {
  return idOf([executionId, 'output', stepId, iteration]);
}

/** Of the input or the output that stands in an entry of the journal. */
export function entryBlobId(
  executionId: string,
  entry: JournalEntry,
  what: 'input' | 'output',
): string {
  if (what === 'output' && entry.status === 'success') return outputBlobId(executionId, entry);
  return idOf([executionId, what, entry.stepId, entry.iteration, entry.attempt]);
}

/**
 * Of the output of the whole execution, where that isn't one step's. One that is tried again ends anew,
 * under another lease.
 */
export function outcomeBlobId({
  executionId,
  epoch,
}: Pick<Lease, 'executionId' | 'epoch'>): string {
  return idOf([executionId, 'outcome', epoch]);
}

/** By an estimate, which is at least a sixth of the truth. */
function isSurelySmall(bytes: number): boolean {
  return bytes * 6 <= MAX_IN_ROW_BYTES;
}

function measureText(value: JsonValue): { bytes: number; isLarge: boolean } {
  const bytes = Buffer.byteLength(toStorableJson(value));
  return { bytes, isLarge: bytes > MAX_IN_ROW_BYTES };
}

/** A UUIDv8 (RFC 9562): of a hash. */
function idOf(names: readonly (string | number)[]): string {
  const bytes = createHash('sha256').update(JSON.stringify(names)).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

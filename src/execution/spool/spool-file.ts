import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import {
  FILE_ID_BYTES,
  KEY_CHECK_BYTES,
  SEAL_BYTES,
  type SpoolBox,
  type SpoolKeys,
} from './spool-cipher.js';

/** A file of the spool: this, its id, the check of its key, and records of a length (4 bytes) and what is sealed. */
const MAGIC = Buffer.from('STWSPL1\n');
const LENGTH_BYTES = 4;

export const HEADER_BYTES = MAGIC.length + FILE_ID_BYTES + KEY_CHECK_BYTES;
export const SPOOL_SUFFIX = '.spool';

/** What a record of a text takes in its file. */
export function recordBytes(text: Buffer): number {
  return LENGTH_BYTES + SEAL_BYTES + text.length;
}

export function newFile(keys: SpoolKeys): { header: Buffer; box: SpoolBox } {
  const fileId = randomBytes(FILE_ID_BYTES);
  const box = keys.ofFile(fileId);
  return { header: Buffer.concat([MAGIC, fileId, box.keyCheck]), box };
}

export function encodeRecord(box: SpoolBox, offset: number, text: Buffer): Buffer {
  const sealed = box.seal({ offset }, text);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(sealed.length);
  return Buffer.concat([length, sealed]);
}

/** What a file holds, in the order in which it was written. */
export interface SpoolFileContent {
  records: { offset: number; text: Buffer }[];
  /** Whole records that can't be opened: moved or changed. As they stand there. */
  damaged: { offset: number; bytes: Buffer }[];
  /** Bytes at its end that make no whole record: a write that a crash cut short, which nobody was told of. */
  tornBytes: number;
}

/** Null: no file of ours, or sealed under another root key. A header that is cut short holds nothing. */
export async function readSpoolFile(
  path: string,
  keys: SpoolKeys,
): Promise<SpoolFileContent | null> {
  const bytes = await readFile(path);
  const content: SpoolFileContent = { records: [], damaged: [], tornBytes: 0 };
  if (bytes.length < HEADER_BYTES) return { ...content, tornBytes: bytes.length };
  const fileId = bytes.subarray(MAGIC.length, MAGIC.length + FILE_ID_BYTES);
  const box = keys.ofFile(fileId);
  const keyCheck = bytes.subarray(MAGIC.length + FILE_ID_BYTES, HEADER_BYTES);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || !keyCheck.equals(box.keyCheck)) return null;

  let offset = HEADER_BYTES;
  while (offset < bytes.length) {
    const length = offset + LENGTH_BYTES <= bytes.length ? bytes.readUInt32BE(offset) : 0;
    const end = offset + LENGTH_BYTES + length;
    // Zeros are what a file system leaves where it had made room and not yet written.
    if (length < SEAL_BYTES || end > bytes.length) {
      return { ...content, tornBytes: bytes.length - offset };
    }
    const text = box.open({ offset }, bytes.subarray(offset + LENGTH_BYTES, end));
    if (text) content.records.push({ offset, text });
    else content.damaged.push({ offset, bytes: bytes.subarray(offset, end) });
    offset = end;
  }
  return content;
}

import { open, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { SpoolBox, SpoolKeys } from './spool-cipher.js';
import { encodeRecord, HEADER_BYTES, newFile, recordBytes } from './spool-file.js';

/** A file that records are appended to, by one writer at a time. */
export class SpoolSegment {
  /** What is on disk for certain. */
  private durableBytes = HEADER_BYTES;

  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly box: SpoolBox,
  ) {}

  /** Makes it, and returns when it would be found again after a power failure. */
  static async create(path: string, keys: SpoolKeys): Promise<SpoolSegment> {
    const file = await open(path, 'wx', 0o600);
    try {
      const { header, box } = newFile(keys);
      await file.write(header, 0, header.length, 0);
      await file.sync();
      await syncFolder(dirname(path));
      return new SpoolSegment(path, file, box);
    } catch (error) {
      await file.close();
      await unlink(path);
      throw error;
    }
  }

  get bytes(): number {
    return this.durableBytes;
  }

  /**
   * Appends all of them with one fsync.
   * @returns false when the file was taken away meanwhile: whoever has it may not have seen these
   * @throws when nothing of it counts as written
   */
  async append(texts: readonly Buffer[]): Promise<boolean> {
    let offset = this.durableBytes;
    const records: Buffer[] = [];
    for (const text of texts) {
      records.push(encodeRecord(this.box, offset, text));
      offset += recordBytes(text);
    }
    const bytes = Buffer.concat(records);
    try {
      await writeWhole(this.file, bytes, this.durableBytes);
      await this.file.datasync();
    } catch (error) {
      // Half a record in the middle would hide all that comes after it.
      await this.file.truncate(this.durableBytes);
      throw error;
    }
    this.durableBytes = offset;
    return await this.isInPlace();
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  private async isInPlace(): Promise<boolean> {
    const { ino } = await this.file.stat();
    const found = await stat(this.path).catch(() => null);
    return found?.ino === ino;
  }
}

/** Makes durable what names a folder holds. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeWhole(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, at + written);
    written += bytesWritten;
  }
}

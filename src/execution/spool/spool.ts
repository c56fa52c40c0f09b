import { mkdir, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';

import { AppError, messageOf } from '../../common/errors.js';
import { ROOT_KEY } from '../../database/root-key.js';
import { ThisHost } from '../../queue/this-host.js';
import { SetAside } from './set-aside.js';
import { SpoolKeys } from './spool-cipher.js';
import {
  HEADER_BYTES,
  readSpoolFile,
  recordBytes,
  SPOOL_SUFFIX,
  type SpoolFileContent,
} from './spool-file.js';
import { isOwned, OWNER_FILE, signFolder } from './spool-owner.js';
import { SpoolSegment, syncFolder } from './spool-segment.js';
import { SpoolSettings } from './spool-settings.js';
import { decodeRun, encodeRun, type SpooledRun } from './spooled-run.js';

/** A file is removed as a whole: small ones make room early. */
const SEGMENT_BYTES = 1024 * 1024;
/** Appended with one fsync: so many, and no more bytes than a file is meant to have, or a single one. */
const MAX_GROUP = 1_000;
/** That it can't be written is told at most this often. */
const TELL_MS = 10_000;

/** One file, with what is known of it without reading it. */
export interface SpooledFile {
  folder: string;
  path: string;
  bytes: number;
  records: number;
  /** Records of it that are stored, or set aside. */
  stored: number;
  /** Of the first record, milliseconds since the epoch. */
  oldestAt: number;
}

interface Waiting {
  text: Buffer;
  spooledAt: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * New runs on disk while the database is away: appended in order to encrypted files of this process,
 * durable before anybody hears that they are accepted. Appends that come together share one fsync.
 */
@Injectable()
export class Spool implements OnApplicationShutdown {
  private readonly logger = new Logger('spool');
  private readonly keys: SpoolKeys;
  private readonly ownFolder: string;
  private readonly waiting: Waiting[] = [];
  /** In the order in which they are to be flushed. */
  private readonly files: SpooledFile[] = [];
  private active: { segment: SpoolSegment; file: SpooledFile } | null = null;
  private fileCount = 0;
  /** Asked for and not yet in a file. */
  private reservedBytes = 0;
  /** Writes to the active file, one after another. */
  private turn: Promise<unknown> = Promise.resolve();
  private isDraining = false;
  private toldAt = -Infinity;
  readonly setAside: SetAside;
  readonly counts = { accepted: 0, refused: 0, flushed: 0, tornBytes: 0 };

  constructor(
    private readonly settings: SpoolSettings,
    @Inject(ROOT_KEY) rootKey: Buffer,
    host: ThisHost,
  ) {
    this.keys = new SpoolKeys(rootKey);
    this.ownFolder = join(settings.folder, host.id);
    this.setAside = new SetAside(settings.folder, this.keys);
  }

  /** What is in it now. */
  measure(): { records: number; bytes: number; oldestAt: number | null } {
    const files = this.active ? [...this.files, this.active.file] : this.files;
    return {
      records: files.reduce((sum, file) => sum + file.records - file.stored, 0),
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      oldestAt: files[0]?.oldestAt ?? null,
    };
  }

  /**
   * Returns when the run would survive the loss of power.
   * @throws AppError service.unavailable when the spool is full or can't be written
   */
  async append(run: SpooledRun): Promise<void> {
    const text = encodeRun(run);
    const bytes = recordBytes(text);
    if (this.measure().bytes + this.reservedBytes + bytes + HEADER_BYTES > this.settings.maxBytes) {
      this.counts.refused++;
      throw new AppError(
        'service.unavailable',
        'the database is away, and what is kept for it has filled STEPWELL_SPOOL_MAX_MB; try again shortly',
      );
    }
    this.reservedBytes += bytes;
    try {
      await new Promise<void>((resolve, reject) => {
        this.waiting.push({ text, spooledAt: run.spooledAt, resolve, reject });
        void this.drain();
      });
      this.counts.accepted++;
    } catch (error) {
      this.counts.refused++;
      this.tellOfFailure(error);
      throw new AppError(
        'service.unavailable',
        'the database is away, and the spool of this host can not be written; try again shortly',
        { cause: error },
      );
    } finally {
      this.reservedBytes -= bytes;
    }
  }

  /** The oldest file, in which nothing is written any more; null: nothing is spooled. */
  async nextFile(): Promise<SpooledFile | null> {
    if (this.files.length === 0) await this.exclusively(() => this.closeActive());
    return this.files[0] ?? null;
  }

  /** Null: whoever shares this home has taken it over, or it can't be opened and is set aside. */
  async read(file: SpooledFile): Promise<(SpoolFileContent & { runs: SpooledRun[] }) | null> {
    try {
      const content = await readSpoolFile(file.path, this.keys);
      if (content) return { ...content, runs: content.records.map(({ text }) => decodeRun(text)) };
      await this.setAside.file(
        file.path,
        'it was sealed under another root key: start once with that',
      );
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (UNREADABLE.has(code)) await this.setAside.file(file.path, messageOf(error));
      else if (code !== 'ENOENT') throw error;
    }
    return null;
  }

  /** All of it is stored, or set aside. */
  async remove(file: SpooledFile): Promise<void> {
    await rm(file.path, { force: true });
    this.files.splice(this.files.indexOf(file), 1);
    const isLast =
      file.folder !== this.ownFolder && !this.files.some((one) => one.folder === file.folder);
    if (isLast) await removeFolder(file.folder);
  }

  /** Takes over what hosts of this home left when they died. */
  async adopt(): Promise<void> {
    for (const name of await listFolder(this.settings.folder)) {
      const folder = join(this.settings.folder, name);
      if (folder === this.ownFolder || SetAside.isOne(name)) continue;
      try {
        if (!isOwned(folder)) await this.adoptFolder(folder);
      } catch (error) {
        // Another host of this home was faster, or it isn't ours to read, or no folder at all.
        this.logger.warn(`${folder} is left alone: ${messageOf(error)}`);
      }
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.exclusively(() => this.closeActive());
    if (this.files.some(({ folder }) => folder === this.ownFolder)) return;
    await removeFolder(this.ownFolder);
  }

  /** Whoever renames it has it; names begin with the host's, so that none is taken twice. */
  private async adoptFolder(folder: string): Promise<void> {
    const mine = `${this.ownFolder}-${String(++this.fileCount)}`;
    await rename(folder, mine);
    await signFolder(mine);
    const found: SpooledFile[] = [];
    for (const name of await listFolder(mine)) {
      if (!name.endsWith(SPOOL_SUFFIX)) continue;
      const path = join(mine, name);
      const file = { folder: mine, path, bytes: 0, records: 0, stored: 0, oldestAt: Date.now() };
      const content = await this.read(file);
      if (!content) continue;
      file.records = content.runs.length;
      file.bytes =
        HEADER_BYTES + content.records.reduce((sum, { text }) => sum + recordBytes(text), 0);
      file.oldestAt = content.runs[0]?.spooledAt ?? file.oldestAt;
      found.push(file);
    }
    if (found.length === 0) await removeFolder(mine);
    else
      this.logger.warn(
        `${String(found.length)} files of a host that ended are taken over from ${folder}`,
      );
    this.files.push(...found);
    this.files.sort((a, b) => a.oldestAt - b.oldestAt);
  }

  private async drain(): Promise<void> {
    if (this.isDraining) return;
    this.isDraining = true;
    try {
      while (this.waiting.length > 0) {
        const group = this.takeGroup();
        await this.exclusively(() => this.write(group)).then(
          () => {
            for (const { resolve } of group) resolve();
          },
          (error: unknown) => {
            for (const { reject } of group) reject(error);
          },
        );
      }
    } finally {
      this.isDraining = false;
    }
  }

  private takeGroup(): Waiting[] {
    let bytes = 0;
    const tooMany = this.waiting.findIndex(({ text }, index) => {
      bytes += text.length;
      return index > 0 && (index === MAX_GROUP || bytes > SEGMENT_BYTES);
    });
    return this.waiting.splice(0, tooMany === -1 ? this.waiting.length : tooMany);
  }

  private tellOfFailure(error: unknown): void {
    if (performance.now() - this.toldAt < TELL_MS) return;
    this.toldAt = performance.now();
    this.logger.error({ err: error }, 'the spool can not be written; requests are refused');
  }

  private async write(group: Waiting[]): Promise<void> {
    const texts = group.map(({ text }) => text);
    for (;;) {
      this.active ??= await this.begin(group[0]?.spooledAt ?? Date.now());
      const { segment, file } = this.active;
      let isInPlace: boolean;
      try {
        isInPlace = await segment.append(texts);
      } catch (error) {
        await this.closeActive();
        throw error;
      }
      if (isInPlace) {
        file.records += group.length;
        file.bytes = segment.bytes;
        if (file.bytes > SEGMENT_BYTES) await this.closeActive();
        return;
      }
      // Somebody took this process for dead and has the file. What came before was whole by then.
      await segment.close();
      this.active = null;
    }
  }

  private async begin(oldestAt: number): Promise<{ segment: SpoolSegment; file: SpooledFile }> {
    const folder = this.ownFolder;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await signFolder(folder);
    await syncFolder(this.settings.folder);
    await syncFolder(dirname(this.settings.folder));
    const path = join(folder, `${String(++this.fileCount).padStart(8, '0')}${SPOOL_SUFFIX}`);
    const segment = await SpoolSegment.create(path, this.keys);
    return {
      segment,
      file: { folder, path, bytes: segment.bytes, records: 0, stored: 0, oldestAt },
    };
  }

  private async closeActive(): Promise<void> {
    if (!this.active) return;
    const { segment, file } = this.active;
    this.active = null;
    await segment.close();
    if (file.records > 0) this.files.push(file);
    else await unlink(file.path);
  }

  private async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => undefined);
    return await mine;
  }
}

/** What a disk or a person makes of a file; other failures, as of too many open files, pass. */
const UNREADABLE = new Set(['EACCES', 'EPERM', 'EIO', 'EISDIR']);

/** With nothing in it but its owner: what somebody else put there stays. */
async function removeFolder(path: string): Promise<void> {
  await rm(join(path, OWNER_FILE), { force: true });
  try {
    await rmdir(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

async function listFolder(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

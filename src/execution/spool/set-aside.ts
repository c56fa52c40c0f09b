import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { Logger } from '@nestjs/common';

import { newId } from '../../common/ids.js';
import type { SpoolKeys } from './spool-cipher.js';
import { SPOOL_SUFFIX } from './spool-file.js';
import { SpoolSegment } from './spool-segment.js';
import { encodeRun, type SpooledRun } from './spooled-run.js';

const FOLDER = 'set-aside';

/** What can't be stored, so that it blocks nothing that comes after it. Kept, counted and told of. */
export class SetAside {
  private readonly logger = new Logger('spool');
  private readonly folder: string;
  /** Records, and files of unknown content as one. */
  count = 0;

  constructor(
    private readonly spoolFolder: string,
    private readonly keys: SpoolKeys,
  ) {
    this.folder = join(spoolFolder, FOLDER);
  }

  static isOne(name: string): boolean {
    return name === FOLDER;
  }

  /** A run that the database refuses, in a file of its own. */
  async run(spooled: SpooledRun, reason: string): Promise<void> {
    const { id, tenantId, planId } = spooled.run;
    const path = join(await this.make(), `${id}${SPOOL_SUFFIX}`);
    try {
      const segment = await SpoolSegment.create(path, this.keys);
      await segment.append([encodeRun(spooled)]);
      await segment.close();
    } catch (error) {
      // From a flush that a crash cut short.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    this.count++;
    this.logger.error(
      { execution_id: id, tenant_id: tenantId, plan_id: planId, reason, path },
      `an execution was accepted while the database was away and can not be stored; ${this.advise()}`,
    );
  }

  /** Bytes that can't be opened: they were changed or moved. */
  async bytes(damaged: Buffer, origin: { path: string; offset: number }): Promise<void> {
    const name = `${newId()}-${basename(origin.path)}-${String(origin.offset)}.damaged`;
    const path = join(await this.make(), name);
    await writeFile(path, damaged, { mode: 0o600, flush: true });
    this.count++;
    this.logger.error(
      { path, from: origin.path, offset: origin.offset },
      'a record of the spool was changed or moved on disk and is lost; find out by whom',
    );
  }

  /** A whole file, of which nothing can be told but why it can't be opened. */
  async file(from: string, reason: string): Promise<void> {
    const path = join(await this.make(), `${newId()}-${basename(from)}`);
    await rename(from, path);
    this.count++;
    this.logger.error(
      { path, from, reason },
      `a file of the spool can not be opened; when that is mended, ${this.advise()}`,
    );
  }

  private async make(): Promise<string> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    return this.folder;
  }

  private advise(): string {
    return `to try again, move the file into ${join(this.spoolFolder, 'again')}; to give it up, delete it`;
  }
}

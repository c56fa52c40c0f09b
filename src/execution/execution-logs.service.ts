import { Injectable } from '@nestjs/common';

import type { Ctx } from '../common/ctx.js';
import { invalidRequest } from '../common/http/validation.pipe.js';
import { isUuid } from '../common/ids.js';
import type { Page } from '../common/paging.js';
import { Database } from '../database/database.js';
import { readHandlesOf } from './blobs/read-blobs.js';
import { toLogView, type LogView } from './execution-view.js';
import { listLogs, type LogFilter, type LogPlace } from './sql/list-logs.js';

@Injectable()
export class ExecutionLogsService {
  constructor(private readonly database: Database) {}

  /**
   * Attempts that have ended, the last first; large inputs and outputs are handles, see showPayload.
   * @throws AppError request.invalid for a cursor that no list gave
   */
  async listLogs(ctx: Ctx, query: LogFilter & LogPageQuery): Promise<Page<LogView>> {
    const { limit, cursor, ...filter } = query;
    const after = cursor === undefined ? null : decodePlace(cursor);
    return await this.database.withTenant(ctx, async (tx) => {
      const { tenantId } = ctx;
      const rows = await listLogs(tx, { tenantId, filter, after, limit: limit + 1 });
      const shown = rows.slice(0, limit);
      const handles = await readHandlesOf(tx, ctx, shown);
      const last = shown.at(-1);
      return {
        items: shown.map((row) => toLogView(row, handles)),
        nextCursor: rows.length > limit && last ? encodePlace(last) : null,
      };
    });
  }
}

export interface LogPageQuery {
  limit: number;
  cursor?: string;
}

/** Opaque to clients. */
function encodePlace({ endedUs, id }: LogPlace): string {
  return Buffer.from(`${endedUs}/${id}`, 'utf8').toString('base64url');
}

function decodePlace(cursor: string): LogPlace {
  const [endedUs = '', id = '', ...rest] = Buffer.from(cursor, 'base64url')
    .toString('utf8')
    .split('/');
  if (/^\d{1,16}$/.test(endedUs) && isUuid(id) && rest.length === 0) return { endedUs, id };
  throw invalidRequest([
    { pointer: '/cursor', detail: 'use the next_cursor of the previous page, or leave it out' },
  ]);
}

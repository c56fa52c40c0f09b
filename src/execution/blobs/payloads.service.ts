import { Injectable } from '@nestjs/common';

import type { Ctx } from '../../common/ctx.js';
import { AppError } from '../../common/errors.js';
import { isUuid } from '../../common/ids.js';
import { Database } from '../../database/database.js';
import { findBlobText } from './read-blobs.js';

/** Large inputs and outputs, one at a time. */
@Injectable()
export class PayloadsService {
  constructor(private readonly database: Database) {}

  /**
   * @returns a large value of an execution as JSON text (RFC 8259)
   * @throws AppError request.not_found, also for what the caller may not see
   */
  async getText(ctx: Ctx, executionId: string, id: string): Promise<string> {
    const key = { tenantId: ctx.tenantId, executionId };
    const isPossible = isUuid(executionId) && isUuid(id);
    const text = isPossible
      ? await this.database.withTenant(ctx, (tx) => findBlobText(tx, key, id))
      : null;
    if (text === null) {
      throw new AppError(
        'request.not_found',
        `there is no execution ${executionId}, or it has no payload ${id}`,
      );
    }
    return text;
  }
}

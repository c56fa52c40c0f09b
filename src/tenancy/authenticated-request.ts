import type { FastifyRequest } from 'fastify';

import type { Ctx } from '../common/ctx.js';

/** A request that the access guard let in. */
export interface AuthenticatedRequest extends FastifyRequest {
  ctx: Ctx;
}

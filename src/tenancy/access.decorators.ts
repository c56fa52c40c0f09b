import { createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';

import type { Ctx, Permission } from '../common/ctx.js';
import type { AuthenticatedRequest } from './authenticated-request.js';

export const ACCESS = 'stepwell:access';

/** What a route asks of its caller. A route without one is refused. */
export type Access = { public: true } | { permission: Permission };

/** Anyone may call: health, webhooks, wait tokens, OAuth2 callback, API description; nothing else. */
export const Public = (): MethodDecorator & ClassDecorator =>
  SetMetadata<string, Access>(ACCESS, { public: true });

export const Requires = (permission: Permission): MethodDecorator & ClassDecorator =>
  SetMetadata<string, Access>(ACCESS, { permission });

/** The caller, as the access guard found it. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Ctx => {
  return context.switchToHttp().getRequest<AuthenticatedRequest>().ctx;
});

import { createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';

import type { Ctx, Permission } from '../common/ctx.js';
import type { AuthenticatedRequest } from './authenticated-request.js';

export const ACCESS = 'stepwell:access';
export const USER_ID_IS_PARAMETER = 'stepwell:user-id-is-parameter';
export const STARTS_EXECUTIONS = 'stepwell:starts-executions';
export const OR_SCRAPE_TOKEN = 'stepwell:or-scrape-token';

/** What a route asks of its caller. A route without one is refused. */
export type Access = { public: true } | { authenticated: true } | { permission: Permission };

/** Anyone may call: health, webhooks, wait tokens, OAuth2 callback, API description; nothing else. */
export const Public = (): MethodDecorator & ClassDecorator =>
  SetMetadata<string, Access>(ACCESS, { public: true });

export const Requires = (permission: Permission): MethodDecorator & ClassDecorator =>
  SetMetadata<string, Access>(ACCESS, { permission });

/** Whoever can prove who they are, with any permissions or none: only what concerns the caller. */
export const Authenticated = (): MethodDecorator & ClassDecorator =>
  SetMetadata<string, Access>(ACCESS, { authenticated: true });

/**
 * `user_id` in the query or body is for the route itself, such as a filter. Without this it says as
 * whom older clients call, and the access guard takes it out.
 */
export const UserIdIsParameter = (): MethodDecorator & ClassDecorator =>
  SetMetadata(USER_ID_IS_PARAMETER, true);

/**
 * The route begins executions: while the database is away and the spool is on, callers are known by
 * what was read of them last.
 */
export const StartsExecutions = (): MethodDecorator & ClassDecorator =>
  SetMetadata(STARTS_EXECUTIONS, true);

/** Prometheus may come as well, with the token of `STEPWELL_METRICS_TOKEN` and as nobody: no `Caller` there. */
export const OrScrapeToken = (): MethodDecorator & ClassDecorator =>
  SetMetadata(OR_SCRAPE_TOKEN, true);

/** The caller, as the access guard found it. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Ctx => {
  return context.switchToHttp().getRequest<AuthenticatedRequest>().ctx;
});

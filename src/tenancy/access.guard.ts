import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { ACCESS, type Access } from './access.decorators.js';
import type { AuthenticatedRequest } from './authenticated-request.js';
import { Authentication } from './authentication.js';

/** Guards every route: closed unless the route says what it takes to enter. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authentication: Authentication,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (access && 'public' in access) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const key = readApiKey(request);
    if (key === null) {
      throw new AppError('auth.required', 'send an API key in the header X-API-Key');
    }
    const ctx = await this.authentication.findCaller(key, request.id);
    if (!ctx) throw new AppError('auth.invalid', 'this API key is unknown, expired or revoked');
    if (!access || !ctx.permissions.has(access.permission)) {
      throw new AppError(
        'auth.forbidden',
        `this needs the permission ${access?.permission ?? 'of nobody'}`,
      );
    }
    takeUserId(ctx, request.query);
    takeUserId(ctx, request.body);
    request.ctx = ctx;
    return true;
  }
}

/**
 * Older clients name the user in the query or body. It has to be the caller, and says nothing new
 * then: it is taken out, so that no route has to know it.
 */
function takeUserId(ctx: Ctx, fields: unknown): void {
  if (typeof fields !== 'object' || fields === null || !Object.hasOwn(fields, 'user_id')) return;
  const { user_id: userId } = fields as { user_id?: unknown };
  if (userId !== ctx.userId && userId !== ctx.externalUserId) {
    throw new AppError(
      'auth.forbidden',
      `user_id must be that of the caller: ${ctx.externalUserId}`,
    );
  }
  delete (fields as { user_id?: unknown }).user_id;
}

/** `X-API-Key: <key>` or `Authorization: ApiKey <key>`. */
function readApiKey(request: FastifyRequest): string | null {
  const header = request.headers['x-api-key'];
  if (typeof header === 'string' && header !== '') return header;
  const match = /^ApiKey\s+(\S+)$/i.exec(request.headers.authorization ?? '');
  return match?.[1] ?? null;
}

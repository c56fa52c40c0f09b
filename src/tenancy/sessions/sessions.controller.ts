import { Body, Controller, Get, Header, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import type { Ctx } from '../../common/ctx.js';
import { Authenticated, Caller } from '../access.decorators.js';
import { SESSION_COOKIE } from '../request-proof.js';
import { NoFieldsPipe } from './no-fields.pipe.js';
import { SESSION_SECONDS } from './session-tokens.js';
import { SessionsService, type Identity, type NewSession } from './sessions.service.js';

@Controller('api/auth')
@Authenticated()
export class SessionsController {
  constructor(private readonly sessions: SessionsService) {}

  /** The token also comes as a cookie, so that a page needs no place of its own to keep it. */
  @Post('token')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async begin(
    @Caller() ctx: Ctx,
    @Body(NoFieldsPipe) _body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<NewSession> {
    const session = await this.sessions.beginSession(ctx);
    reply.setCookie(SESSION_COOKIE, session.token, {
      ...cookieOptions(request),
      maxAge: SESSION_SECONDS,
    });
    return session;
  }

  @Post('logout')
  @HttpCode(200)
  async end(
    @Caller() ctx: Ctx,
    @Body(NoFieldsPipe) _body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ success: true }> {
    await this.sessions.endSession(ctx);
    reply.clearCookie(SESSION_COOKIE, cookieOptions(request));
    return { success: true };
  }

  @Get('me')
  async me(@Caller() ctx: Ctx): Promise<Identity> {
    return await this.sessions.describeCaller(ctx);
  }
}

function cookieOptions(request: FastifyRequest) {
  return {
    httpOnly: true,
    sameSite: 'lax' as const,
    path: '/',
    secure: request.protocol === 'https',
  };
}

import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import {
  ACCESS,
  OR_SCRAPE_TOKEN,
  STARTS_EXECUTIONS,
  USER_ID_IS_PARAMETER,
  type Access,
} from './access.decorators.js';
import { ActingFor } from './acting-for.js';
import { assertHolds } from './assert-holds.js';
import { Refusals } from './audit/refusals.js';
import type { AuthenticatedRequest } from './authenticated-request.js';
import { Authentication } from './authentication.js';
import { isOfOwnOrigin, isSafeMethod, readProof, type RequestProof } from './request-proof.js';
import { isScrapeToken } from './scrape-token.js';
import { takeUserId } from './take-user-id.js';
import { TENANCY_SETTINGS, type TenancySettings } from './tenancy-settings.js';

/** Guards every route: closed unless the route says what it takes to enter. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authentication: Authentication,
    private readonly actingFor: ActingFor,
    private readonly refusals: Refusals,
    @Inject(TENANCY_SETTINGS) private readonly settings: TenancySettings,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, targets);
    if (access && 'public' in access) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const proof = readProof(request);
    if (!proof) {
      throw new AppError(
        'auth.required',
        'send an API key in the header X-API-Key, or a session token as Authorization: Bearer',
      );
    }
    const mayScrape = this.reflector.getAllAndOverride<boolean>(OR_SCRAPE_TOKEN, targets);
    if (mayScrape && isScrapeToken(proof, this.settings.metricsToken)) return true;
    const startsSome = this.reflector.getAllAndOverride<boolean | undefined>(
      STARTS_EXECUTIONS,
      targets,
    );
    const mayRecall = startsSome ?? false;
    const caller = await this.identify(proof, request, { mayRecall });
    try {
      assertNotForged(proof, request);
      const isParameter = this.reflector.getAllAndOverride<boolean>(USER_ID_IS_PARAMETER, targets);
      const name = isParameter ? null : takeUserId(caller, request);
      if (name === null) {
        assertHolds(caller, access);
        request.ctx = caller;
      } else {
        request.ctx = await this.actingFor.enter(caller, { name, access, request });
      }
      return true;
    } catch (error) {
      if (error instanceof AppError && error.code === 'auth.forbidden') {
        await this.refusals.ofCaller(caller, request, error.detail);
      }
      throw error;
    }
  }

  private async identify(
    proof: RequestProof,
    request: AuthenticatedRequest,
    options: { mayRecall: boolean },
  ): Promise<Ctx> {
    const found = await this.authentication.identify(proof, request.id, options);
    if (found?.endedBecause === null) return found.ctx;
    if (found) await this.refusals.ofEndedProof(found.ctx, request, found.endedBecause);
    else this.refusals.ofStranger(proof.kind, request);
    throw new AppError(
      'auth.invalid',
      proof.kind === 'api_key'
        ? 'this API key is unknown, expired or revoked'
        : 'this session is unknown, expired or revoked; POST /api/auth/token with an API key begins a new one',
    );
  }
}

/** Browsers add the cookie to whatever any page sends here; only our own pages may change things. */
function assertNotForged(proof: RequestProof, request: AuthenticatedRequest): void {
  if (proof.kind !== 'session' || proof.sentBy !== 'cookie') return;
  if (isSafeMethod(request.method) || isOfOwnOrigin(request)) return;
  throw new AppError(
    'auth.forbidden',
    'with the cookie alone, requests that change something need the header Origin with the origin of this host; programs send the token as Authorization: Bearer instead',
  );
}

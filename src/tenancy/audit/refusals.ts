import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { CLOCK, type Clock } from '../../common/clock.js';
import type { Ctx } from '../../common/ctx.js';
import { AuditService } from './audit.service.js';
import { TellingLimit } from './telling-limit.js';

/** Of one API key, with its sessions: enough to see what somebody tries. */
const CALLER_PER_MINUTE = 30;
/** Who holds an old key could fill the log with it: once says enough. */
const ENDED_PROOF_PER_MINUTE = 1;
/** Of one address. */
const STRANGER_PER_MINUTE = 30;

/** Tells the audit log who was turned away, and the host's log when nobody knows who. */
@Injectable()
export class Refusals {
  private readonly logger = new Logger('access');
  private readonly callers: TellingLimit;
  private readonly endedProofs: TellingLimit;
  private readonly strangers: TellingLimit;

  constructor(
    private readonly audit: AuditService,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.callers = new TellingLimit(CALLER_PER_MINUTE, clock);
    this.endedProofs = new TellingLimit(ENDED_PROOF_PER_MINUTE, clock);
    this.strangers = new TellingLimit(STRANGER_PER_MINUTE, clock);
  }

  /** A caller who isn't allowed what the request asks. */
  async ofCaller(ctx: Ctx, request: FastifyRequest, reason: string): Promise<void> {
    const told = this.callers.take(ctx.proof.apiKeyId);
    if (!told) return;
    await this.audit.recordAlone(ctx, {
      action: 'auth.refused',
      subject: null,
      outcome: 'refused',
      details: { ...routeOf(request), reason, ...countOf(told) },
    });
  }

  /** A key or session that was good once: revoked, expired, or its user disabled. */
  async ofEndedProof(ctx: Ctx, request: FastifyRequest, reason: string): Promise<void> {
    const { kind, apiKeyId, sessionId } = ctx.proof;
    const id = sessionId ?? apiKeyId;
    const told = this.endedProofs.take(id);
    if (!told) return;
    await this.audit.recordAlone(ctx, {
      action: 'auth.refused',
      subject: { type: kind, id },
      outcome: 'refused',
      details: { ...routeOf(request), reason, ...countOf(told) },
    });
  }

  /** Nobody knows whose it is, so no tenant's audit log can tell of it. What was sent isn't logged. */
  ofStranger(kind: Ctx['proof']['kind'], request: FastifyRequest): void {
    const { ip, id } = request;
    const told = this.strangers.take(ip);
    if (!told) return;
    this.logger.warn(
      { ...routeOf(request), proof: kind, ip, request_id: id, ...countOf(told) },
      'refused: nobody knows this proof',
    );
  }
}

function routeOf(request: FastifyRequest): { method: string; route: string } {
  return { method: request.method, route: request.routeOptions.url ?? '' };
}

function countOf({ untold }: { untold: number }): { untold?: number } {
  return untold === 0 ? {} : { untold };
}

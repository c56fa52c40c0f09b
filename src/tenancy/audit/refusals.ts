import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { BoundedCache } from '../../common/bounded-cache.js';
import { CLOCK, type Clock } from '../../common/clock.js';
import type { Ctx } from '../../common/ctx.js';
import { AuditService } from './audit.service.js';

/** Who holds an old key could fill the log with it: once a minute says enough. */
const ENDED_PROOF_INTERVAL_MS = 60_000;
const ENDED_PROOFS_REMEMBERED = 10_000;

/** Tells the audit log who was turned away at the door, and the host's log when nobody knows who. */
@Injectable()
export class Refusals {
  private readonly logger = new Logger('access');
  private readonly endedProofs = new BoundedCache<number>(ENDED_PROOFS_REMEMBERED);

  constructor(
    private readonly audit: AuditService,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** A caller who isn't allowed what the request asks. */
  async ofCaller(ctx: Ctx, request: FastifyRequest, reason: string): Promise<void> {
    await this.audit.recordAlone(ctx, {
      action: 'auth.refused',
      subject: null,
      outcome: 'refused',
      details: { ...routeOf(request), reason },
    });
  }

  /** A key or session that was good once: revoked, expired, or its user disabled. */
  async ofEndedProof(ctx: Ctx, request: FastifyRequest, reason: string): Promise<void> {
    const { kind, apiKeyId, sessionId } = ctx.proof;
    const id = sessionId ?? apiKeyId;
    const now = this.clock.monotonic();
    const last = this.endedProofs.get(id);
    if (last !== undefined && now - last < ENDED_PROOF_INTERVAL_MS) return;
    this.endedProofs.set(id, now);
    await this.audit.recordAlone(ctx, {
      action: 'auth.refused',
      subject: { type: kind, id },
      outcome: 'refused',
      details: { ...routeOf(request), reason },
    });
  }

  /** Nobody knows whose it is, so no tenant's audit log can tell of it. What was sent isn't logged. */
  ofStranger(kind: Ctx['proof']['kind'], request: FastifyRequest): void {
    this.logger.warn(
      { ...routeOf(request), proof: kind, ip: request.ip, request_id: request.id },
      'refused: nobody knows this proof',
    );
  }
}

function routeOf(request: FastifyRequest): { method: string; route: string } {
  return { method: request.method, route: request.routeOptions.url ?? '' };
}

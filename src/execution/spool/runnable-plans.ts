import { Inject, Injectable } from '@nestjs/common';

import { CLOCK, type Clock } from '../../common/clock.js';
import type { Ctx } from '../../common/ctx.js';
import { LastKnown } from '../../common/last-known.js';
import { PlansService, type RunnablePlan } from '../../plans/plans.service.js';
import { SpoolSettings } from './spool-settings.js';

const MAX_KNOWN_PLANS = 1_000;

/** Plans to be run: while the database is away and the spool is on, as they were read last. */
@Injectable()
export class RunnablePlans {
  private readonly known: LastKnown<RunnablePlan>;

  constructor(
    private readonly plans: PlansService,
    settings: SpoolSettings,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.known = new LastKnown({ isOn: settings.isOn, maxEntries: MAX_KNOWN_PLANS, clock });
  }

  /** The current version of a plan that the caller may run. @throws AppError request.not_found */
  async get(ctx: Ctx, id: string): Promise<RunnablePlan> {
    // What one member may see says nothing of another.
    const key = [ctx.tenantId, ctx.userId, ctx.role, id].join('/');
    const { value } = await this.known.read({ key, mayRecall: true }, () =>
      this.plans.getRunnable(ctx, id),
    );
    return value ?? (await this.plans.getRunnable(ctx, id));
  }
}

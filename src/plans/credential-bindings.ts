import { Injectable } from '@nestjs/common';
import type { ActionManifest } from '@stepwell/plugin-sdk';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid } from '../common/ids.js';
import { CredentialResolver } from '../credentials/credential-resolver.js';
import type { Visibility } from './plan.entity.js';
import type { StepDefinition } from './rules/plan-definition.js';

/**
 * Which credentials a plan's steps may name. A name is looked up when the step runs, as whoever runs
 * it; an id binds one row, and a private row only by its owner, since whoever runs the plan uses it.
 */
@Injectable()
export class CredentialBindings {
  constructor(private readonly credentials: CredentialResolver) {}

  /**
   * Why a step of a plan can't name this credential, or null.
   * @param step.planOwnerId who owns the plan that is saved or run
   */
  async findProblem(
    ctx: Ctx,
    step: {
      provider: string;
      action: ActionManifest;
      credential: string | null;
      planOwnerId: string;
    },
  ): Promise<string | null> {
    const { provider, action, credential } = step;
    if (credential === null) {
      const isNeeded = action.credential !== undefined && action.credentialOptional !== true;
      return isNeeded
        ? `"${provider}.${action.id}" needs a credential; leave this out for "default"`
        : null;
    }
    if (action.credential === undefined) {
      return `"${provider}.${action.id}" takes no credential; leave this out`;
    }
    if (!isUuid(credential)) return null;
    const id = credential.toLowerCase();
    const found = (await this.credentials.findBindable(ctx, [id])).get(id);
    if (!found) return 'there is no credential with this id that you may use';
    if (found.provider !== provider || found.type !== action.credential) {
      return `is a credential of type "${found.type}" for "${found.provider}"; this step needs "${action.credential}" for "${provider}"`;
    }
    // Who acts for a member may use what is the member's, but not hand it to somebody else's plan.
    if (found.scope === 'user' && ctx.actorId !== null && step.planOwnerId !== ctx.userId) {
      return 'is private to the user that you act for, and this plan belongs to another';
    }
    return null;
  }

  /**
   * A private credential bound in a shared plan is used by all who run it: its owner decides that, not
   * an admin who acts for him.
   * @throws AppError auth.forbidden
   */
  async assertMayShare(
    ctx: Ctx,
    plan: { steps: StepDefinition[]; visibility: Visibility },
  ): Promise<void> {
    if (ctx.actorId === null || plan.visibility === 'private') return;
    const bound = plan.steps.map(boundId);
    const found = await this.credentials.findBindable(
      ctx,
      bound.filter((id) => id !== null),
    );
    const at = bound.findIndex((id) => id !== null && found.get(id)?.scope === 'user');
    if (at < 0) return;
    throw new AppError(
      'auth.forbidden',
      'this plan would let all who run it use a credential that is private to the user that you act for',
      {
        errors: [
          {
            pointer: `/steps/${String(at)}/credential`,
            detail: 'name no private credential by its id here, or keep the plan private',
          },
        ],
      },
    );
  }

  /**
   * Steps as they are after an edit: a private credential that an earlier version bound and that isn't
   * the editor's own is taken out. Its owner trusted the steps that were, not those that are to come.
   */
  async unbindOthers<Step>(ctx: Ctx, steps: Step[], before: StepDefinition[]): Promise<Step[]> {
    const bound = new Set(before.flatMap((step) => boundId(step) ?? []));
    if (bound.size === 0) return steps;
    const usable = await this.credentials.findBindable(ctx, [...bound]);
    return steps.map((step) => {
      const id = boundId(step);
      if (id === null || !bound.has(id) || usable.has(id)) return step;
      const unbound = { ...(step as Partial<StepDefinition>) };
      delete unbound.credential;
      return unbound as Step;
    });
  }
}

/** The id that a step binds; null for a name, for none, and for what isn't a step. */
function boundId(step: unknown): string | null {
  const credential = (step as Partial<StepDefinition> | null)?.credential;
  return typeof credential === 'string' && isUuid(credential) ? credential.toLowerCase() : null;
}

import type { Role } from '../common/ctx.js';
import type { Visibility } from '../plans/plan.entity.js';
import { permissionsOf } from '../tenancy/role-permissions.js';

/** Why a schedule stopped by itself, for people to mend. */
export interface StopReason {
  code:
    | 'plan.deleted'
    | 'plan.not_visible'
    | 'plan.changed_by_other'
    | 'owner.disabled'
    | 'owner.not_permitted'
    | 'schedule.invalid';
  message: string;
}

/** What decides whether a schedule may run now. */
export interface RunFacts {
  /** Of the schedule: who it runs as, and the plan version that he enabled it for. */
  enabled: { ownerId: string; planVersion: number };
  /** The run-as user as he is now. */
  owner: { role: Role; isOperator: boolean; disabledAt: Date | null };
  plan: { ownerId: string; visibility: Visibility; deletedAt: Date | null } | null;
  /** The plan's current version, and who wrote it. */
  version: { number: number; authorId: string; authorIsAdmin: boolean } | null;
}

/**
 * Why a schedule can't run, or null. It runs with the rights of who enabled it, so steps that somebody
 * else put into the plan since then don't run before he has agreed; a tenant admin's do, who may act
 * for every member anyhow.
 */
export function findStopReason({ enabled, owner, plan, version }: RunFacts): StopReason | null {
  if (plan?.deletedAt) {
    return { code: 'plan.deleted', message: 'its plan was deleted' };
  }
  if (owner.disabledAt) {
    return {
      code: 'owner.disabled',
      message: 'the user that it runs as was disabled; resume it to let it run as you',
    };
  }
  if (!permissionsOf(owner.role, owner.isOperator).has('plan.execute')) {
    return {
      code: 'owner.not_permitted',
      message: 'the user that it runs as may run plans no more; resume it to let it run as you',
    };
  }
  const isVisible =
    plan !== null &&
    (plan.visibility === 'tenant' || plan.ownerId === enabled.ownerId || owner.role === 'admin');
  if (!isVisible || !version) {
    return {
      code: 'plan.not_visible',
      message: 'the user that it runs as sees the plan no more; resume it to let it run as you',
    };
  }
  const isTrusted =
    version.number <= enabled.planVersion ||
    version.authorId === enabled.ownerId ||
    version.authorIsAdmin;
  if (isTrusted) return null;
  return {
    code: 'plan.changed_by_other',
    message: `version ${String(version.number)} of the plan was written by somebody else than the user that the schedule runs as; look at it, then resume the schedule to let it run as you`,
  };
}

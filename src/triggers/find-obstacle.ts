import { permissionsOf } from '../tenancy/role-permissions.js';
import type { WebhookFacts } from './sql/resolve-webhooks.js';

/** Why calls of a webhook begin nothing, for people to mend. */
export interface Obstacle {
  code:
    | 'plan.deleted'
    | 'plan.not_visible'
    | 'plan.changed_by_other'
    | 'owner.disabled'
    | 'owner.not_permitted';
  message: string;
}

const AGAIN = 'delete it and make it again with the same path to let it run as you';

/**
 * Why a webhook can't run, or null. As with schedules it runs with the rights of who made it, so steps
 * that somebody else put into the plan since then don't run before he has agreed; a tenant admin's do, who
 * may act for every member anyhow.
 */
export function findObstacle({
  owner,
  plan,
  version,
  enabledVersion,
}: Pick<WebhookFacts, 'owner' | 'plan' | 'version' | 'enabledVersion'>): Obstacle | null {
  if (plan.isDeleted) return { code: 'plan.deleted', message: 'its plan was deleted' };
  if (owner.isDisabled) {
    return {
      code: 'owner.disabled',
      message: `the user that it runs as was disabled; ${AGAIN}`,
    };
  }
  if (!permissionsOf(owner.role, owner.isOperator).has('plan.execute')) {
    return {
      code: 'owner.not_permitted',
      message: `the user that it runs as may run plans no more; ${AGAIN}`,
    };
  }
  const isVisible =
    plan.visibility === 'tenant' || plan.ownerId === owner.id || owner.role === 'admin';
  if (!isVisible) {
    return {
      code: 'plan.not_visible',
      message: `the user that it runs as sees the plan no more; ${AGAIN}`,
    };
  }
  const isTrusted =
    version.number <= enabledVersion || version.authorId === owner.id || version.authorIsAdmin;
  if (isTrusted) return null;
  return {
    code: 'plan.changed_by_other',
    message: `version ${String(version.number)} of the plan was written by somebody else than the user that the webhook runs as; look at it, then ${AGAIN}`,
  };
}

import type { JsonObject } from '../../common/json.js';

/** What the audit log tells apart: `<thing>.<what happened to it>`. */
export const AUDIT_ACTIONS = [
  'auth.signed_in',
  'auth.signed_out',
  'auth.refused',
  'user.created',
  'user.updated',
  'user.acted_for',
  'api_key.created',
  'api_key.revoked',
  'tenant.created',
  'tenant.policy_changed',
  'tenant.share_changed',
  'plugin.changed',
  'credential.created',
  'credential.replaced',
  'credential.deleted',
  'credential.used',
  'credential.tested',
  'credential.unreadable',
  'encryption_key.rotated',
  'plan.created',
  'plan.updated',
  'plan.deleted',
  'schedule.changed',
  'schedule.deleted',
  'webhook.created',
  'webhook.deleted',
  'limit.changed',
  'limit.deleted',
  'execution.cancelled',
  'execution.paused',
  'execution.resumed',
  'execution.retried',
  'execution.replayed',
  'execution.forked',
  'wait.resolved',
] as const;

export type AuditAction = (typeof AUDIT_ACTIONS)[number];

export interface AuditEvent {
  action: AuditAction;
  /** What it was done to, such as `credential` and its id; null when there is no such thing. */
  subject: { type: string; id: string } | null;
  /** Default: `success`. */
  outcome?: 'success' | 'refused';
  /** Facts without secrets. */
  details?: JsonObject;
}

import type { PluginOrigin } from '../plugin.entity.js';
import type { Permissions } from './permissions.js';

/** What a tenant decided about one plugin. */
export interface TenantDecision {
  enabled: boolean;
  /** Null: every action. */
  allowedActions: readonly string[] | null;
  /** Hosts that the plugin may reach at most; null: no cap. */
  hostCap: readonly string[] | null;
  /** What it agreed to; null: nothing yet. First-party plugins aren't asked about. */
  consented: Permissions | null;
}

/** Of a tenant that has not decided: first-party plugins start enabled, every other one waits. */
export function defaultDecision(origin: PluginOrigin): TenantDecision {
  return {
    enabled: origin === 'first_party',
    allowedActions: null,
    hostCap: null,
    consented: null,
  };
}

import type { PluginManifest } from '@stepwell/plugin-sdk';

import type { PluginOrigin } from '../plugin.entity.js';
import type { OperatorPolicy } from './operator-policy.js';
import {
  describePermissions,
  exceedsTier,
  missingPermissions,
  permissionsOf,
  type MissingPermission,
} from './permissions.js';
import { defaultDecision, type TenantDecision } from './tenant-decision.js';

/** One version of a plugin, as far as policies look at it. */
export interface JudgedPlugin {
  manifest: PluginManifest;
  origin: PluginOrigin;
}

/** Everything that decides what a tenant may use. */
export interface TenantRules {
  policy: OperatorPolicy;
  /** By plugin id; a plugin without one has the default of its origin. */
  decisions: ReadonlyMap<string, TenantDecision>;
}

export type PluginAccess = PluginGrant | PluginRefusal;

export interface PluginGrant {
  usable: true;
  /** Null: every action. */
  allowedActions: ReadonlySet<string> | null;
  /** A host has to be in each of them, and in what the manifest grants. */
  hostCaps: readonly (readonly string[])[];
}

export interface PluginRefusal {
  usable: false;
  /** Who can change it: `not_permitted` the operator (of an action: the tenant), `not_enabled` the tenant. */
  code: 'plugin.not_enabled' | 'plugin.not_permitted';
  /** Says who changes it, and how. */
  reason: string;
}

/**
 * Whether a tenant may use one version of a plugin, and how much of it. What a step may reach is
 * manifest AND operator's policy AND tenant's policy AND step; this decides the middle two.
 */
export function decideAccess(plugin: JudgedPlugin, rules: TenantRules): PluginAccess {
  const { id, version } = plugin.manifest;
  const forbidden = refuseByPolicy(plugin, rules.policy);
  if (forbidden !== null) return refuse('plugin.not_permitted', forbidden);
  const decision = decisionOn(plugin, rules);
  if (!decision.enabled) {
    return refuse(
      'plugin.not_enabled',
      `the plugin "${id}" is not enabled for this tenant; a tenant admin enables it with PUT /api/plugins/${id} {"enabled": true}`,
    );
  }
  const missing = missingConsent(plugin, decision);
  if (missing.length > 0) {
    return refuse(
      'plugin.not_enabled',
      `${id} ${version} asks for more than this tenant agreed to: ${describePermissions(missing)}; a tenant admin agrees with PUT /api/plugins/${id} {"consent": true}`,
    );
  }
  const caps = [rules.policy.hostCap, decision.hostCap];
  return {
    usable: true,
    allowedActions: decision.allowedActions === null ? null : new Set(decision.allowedActions),
    hostCaps: caps.filter((cap) => cap !== null),
  };
}

/** The same for one action. */
export function decideAction(
  plugin: JudgedPlugin,
  actionId: string,
  rules: TenantRules,
): PluginAccess {
  const access = decideAccess(plugin, rules);
  return access.usable && !isAllowed(access, actionId)
    ? refuse('plugin.not_permitted', describeForbiddenAction(plugin.manifest.id, actionId))
    : access;
}

export function isAllowed(access: PluginGrant, actionId: string): boolean {
  return access.allowedActions?.has(actionId) ?? true;
}

export function describeForbiddenAction(pluginId: string, actionId: string): string {
  return `the action "${actionId}" of "${pluginId}" is not allowed in this tenant; a tenant admin allows it with PUT /api/plugins/${pluginId} {"allowed_actions": [...]}`;
}

/** Why the operator doesn't permit a version; null when it is permitted. */
export function refuseByPolicy(
  { manifest: { id, tier } }: JudgedPlugin,
  policy: OperatorPolicy,
): string | null {
  const how = 'the operator changes that with PUT /api/admin/tenants/:tenant/plugins';
  if (policy.exclude.includes(id)) return `the operator excludes "${id}" for this tenant; ${how}`;
  if (policy.default === 'exclude' && !policy.include.includes(id)) {
    return `the operator has not included "${id}" for this tenant; ${how}`;
  }
  if (exceedsTier(tier, policy.tierCap)) {
    return `"${id}" is of the tier "${tier}", and the operator permits this tenant up to "${policy.tierCap}"; ${how}`;
  }
  return null;
}

/** What a version asks for beyond what the tenant agreed to; nothing of first-party plugins. */
export function missingConsent(
  { manifest, origin }: JudgedPlugin,
  { consented }: TenantDecision,
): MissingPermission[] {
  return origin === 'first_party' ? [] : missingPermissions(permissionsOf(manifest), consented);
}

export function decisionOn({ manifest, origin }: JudgedPlugin, rules: TenantRules): TenantDecision {
  return rules.decisions.get(manifest.id) ?? defaultDecision(origin);
}

function refuse(code: PluginRefusal['code'], reason: string): PluginRefusal {
  return { usable: false, code, reason };
}

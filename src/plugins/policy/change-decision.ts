import {
  decideAccess,
  decisionOn,
  missingConsent,
  refuseByPolicy,
  type JudgedPlugin,
  type TenantRules,
} from './decide.js';
import type { OperatorPolicy } from './operator-policy.js';
import {
  joinPermissions,
  needsExplicitConsent,
  permissionsOf,
  type MissingPermission,
} from './permissions.js';
import type { TenantDecision } from './tenant-decision.js';

/** What a tenant admin asks for; what is undefined stays as it is. */
export interface DecisionChange {
  enabled: boolean | undefined;
  allowedActions: string[] | null | undefined;
  hostCap: string[] | null | undefined;
  /** Agrees to all that the version on offer asks for. False says nothing. */
  consent: boolean | undefined;
}

export type ChangeOutcome =
  | { kind: 'changed'; decision: TenantDecision }
  | { kind: 'not_permitted'; reason: string }
  | { kind: 'consent_required'; version: string; missing: MissingPermission[] };

/** Versions of one plugin, newest first; there is at least one. */
export type Versions<T extends JudgedPlugin = JudgedPlugin> = readonly [T, ...T[]];

/** The version that a tenant is asked about: the newest that the operator permits. */
export function offeredVersion<T extends JudgedPlugin>(
  versions: Versions<T>,
  policy: OperatorPolicy,
): T {
  return versions.find((version) => refuseByPolicy(version, policy) === null) ?? versions[0];
}

/** The tenant's decision after a change, or why it can't be made. */
export function changeDecision(
  versions: Versions,
  rules: TenantRules,
  change: DecisionChange,
): ChangeOutcome {
  const offered = offeredVersion(versions, rules.policy);
  const before = decisionOn(offered, rules);
  const decision = {
    enabled: change.enabled ?? before.enabled,
    allowedActions:
      change.allowedActions === undefined ? before.allowedActions : change.allowedActions,
    hostCap: change.hostCap === undefined ? before.hostCap : change.hostCap,
    consented: before.consented,
  };
  const agrees = (): ChangeOutcome => ({
    kind: 'changed',
    decision: {
      ...decision,
      consented: joinPermissions(before.consented, permissionsOf(offered.manifest)),
    },
  });
  const isAskedFor = change.enabled === true;
  const forbidden = refuseByPolicy(offered, rules.policy);
  if (isAskedFor && forbidden !== null) return { kind: 'not_permitted', reason: forbidden };
  if (offered.origin === 'first_party') return { kind: 'changed', decision };
  if (change.consent === true) return agrees();
  if (!isAskedFor) return { kind: 'changed', decision };
  const missing = missingConsent(offered, before);
  // Turning it on is agreement. Saying "on" of what is on already agrees to nothing new: a script
  // that does so every night must not take a wider version on.
  if (!before.enabled && !missing.some(needsExplicitConsent)) return agrees();
  if (missing.length === 0) return { kind: 'changed', decision };
  if (before.enabled && versions.some((version) => decideAccess(version, rules).usable)) {
    return { kind: 'changed', decision };
  }
  return { kind: 'consent_required', version: offered.manifest.version, missing };
}

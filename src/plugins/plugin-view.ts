import type { HostPermission, Tier } from '@stepwell/plugin-sdk';

import type { CatalogueEntry } from './plugin-catalogue.js';
import type { PluginOrigin } from './plugin.entity.js';
import { offeredVersion, type Versions } from './policy/change-decision.js';
import {
  decideAccess,
  decisionOn,
  missingConsent,
  refuseByPolicy,
  type TenantRules,
} from './policy/decide.js';
import { needsExplicitConsent, type MissingPermission } from './policy/permissions.js';

/** A plugin as a tenant sees it: the newest version that the operator permits, else the newest. */
export interface PluginView {
  id: string;
  package: string;
  version: string;
  digest: string;
  origin: PluginOrigin;
  tier: Tier;
  /** The tenant's decision; `usable` is what comes of it. */
  enabled: boolean;
  usable: boolean;
  /** Why this version isn't usable, and who changes that. */
  reason: string | null;
  allowed_actions: readonly string[] | null;
  host_cap: readonly string[] | null;
  permissions: { hosts: HostPermission[] };
  consent: {
    /** Whether enabling alone isn't enough. */
    required: boolean;
    given: boolean;
    missing: MissingPermission[];
  };
  policy: { permitted: boolean; reason: string | null };
}

export function toPluginView(versions: Versions<CatalogueEntry>, rules: TenantRules): PluginView {
  const offered = offeredVersion(versions, rules.policy);
  const { manifest, digest, origin } = offered;
  const decision = decisionOn(offered, rules);
  const access = decideAccess(offered, rules);
  const forbidden = refuseByPolicy(offered, rules.policy);
  const asked = missingConsent(offered, { ...decision, consented: null });
  const missing = missingConsent(offered, decision);
  return {
    id: manifest.id,
    package: manifest.package,
    version: manifest.version,
    digest,
    origin,
    tier: manifest.tier,
    enabled: decision.enabled,
    usable: access.usable,
    reason: access.usable ? null : access.reason + describeFallback(versions, rules),
    allowed_actions: decision.allowedActions,
    host_cap: decision.hostCap,
    permissions: { hosts: manifest.permissions.hosts },
    consent: {
      required: asked.some(needsExplicitConsent) || (decision.enabled && missing.length > 0),
      given: missing.length === 0,
      missing,
    },
    policy: { permitted: forbidden === null, reason: forbidden },
  };
}

function describeFallback(versions: Versions<CatalogueEntry>, rules: TenantRules): string {
  const older = versions.find((version) => decideAccess(version, rules).usable);
  return older ? `; until then new plans get ${older.manifest.version}` : '';
}

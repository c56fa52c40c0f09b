import type { HostPermission, PluginManifest, Tier } from '@stepwell/plugin-sdk';

import type { PluginOrigin } from '../plugin.entity.js';
import type { JudgedPlugin, TenantRules } from './decide.js';
import { OPEN_POLICY, type OperatorPolicy } from './operator-policy.js';
import { defaultDecision, type TenantDecision } from './tenant-decision.js';

/** For unit tests: a version of a plugin named `weather`, as policies look at it. */
export function aVersion(
  options: {
    version?: string;
    hosts?: HostPermission[];
    tier?: Tier;
    origin?: PluginOrigin;
  } = {},
): JudgedPlugin {
  const { version = '1.0.0', hosts = [], tier = 'isolate', origin = 'operator' } = options;
  const manifest: PluginManifest = {
    manifestVersion: 1,
    id: 'weather',
    package: 'weather',
    version,
    engine: '>=1 <2',
    tier,
    permissions: { hosts },
    limits: {},
    contracts: {},
    bundle: { digest: 'sha256-x', bytes: 1 },
    actions: [],
  };
  return { manifest, origin };
}

/** What operator and tenant say of `weather`; without a decision, nothing was decided. */
export function someRules(
  policy: Partial<OperatorPolicy> = {},
  decision?: Partial<TenantDecision>,
): TenantRules {
  const decisions = new Map<string, TenantDecision>();
  if (decision) decisions.set('weather', { ...defaultDecision('operator'), ...decision });
  return { policy: { ...OPEN_POLICY, ...policy }, decisions };
}

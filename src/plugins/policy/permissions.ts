import type {
  CredentialManifest,
  HostPermission,
  PluginManifest,
  Tier,
} from '@stepwell/plugin-sdk';

import { canonicalJson, type JsonObject } from '../../common/json.js';
import { sha256 } from '../intake/manifest.js';

/** What a version of a plugin asks for, or what a tenant agreed to. */
export interface Permissions {
  hosts: HostPermission[];
  tier: Tier;
  /**
   * By credential type: digests of where its secrets go. The hosts of a stored credential stay, but a new version may
   * place a secret elsewhere in its requests, be it in a text that others read.
   */
  credentials?: Record<string, string[]>;
}

/** One permission that a version asks for and the tenant has not agreed to. */
export type MissingPermission =
  | { host: HostPermission }
  | { tier: Tier }
  /** A type of credentials whose secrets go where nobody agreed that they go. */
  | { credential: string };

/** From the least power to the most. */
export const TIERS = ['declarative', 'isolate', 'worker'] as const satisfies Tier[];

export function permissionsOf(manifest: PluginManifest): Permissions {
  const { permissions, tier, credentials } = manifest;
  if (credentials === undefined) return { hosts: permissions.hosts, tier };
  const uses = credentials.map((type): [string, string[]] => [type.id, [useOf(type)]]);
  return { hosts: permissions.hosts, tier, credentials: Object.fromEntries(uses) };
}

/** Whether `tier` has more power than `cap`. */
export function exceedsTier(tier: Tier, cap: Tier): boolean {
  return TIERS.indexOf(tier) > TIERS.indexOf(cap);
}

/** What is asked beyond what was agreed to; null: nothing was. */
export function missingPermissions(
  asked: Permissions,
  agreed: Permissions | null,
): MissingPermission[] {
  const hosts = asked.hosts.filter((host) => !(agreed?.hosts ?? []).some(covers(host)));
  const lacksTier = exceedsTier(asked.tier, agreed?.tier ?? 'isolate');
  const credentials = Object.entries(asked.credentials ?? {}).filter(([id, uses]) => {
    const known = agreed?.credentials?.[id] ?? [];
    return !uses.every((use) => known.includes(use));
  });
  return [
    ...hosts.map((host) => ({ host })),
    ...(lacksTier ? [{ tier: asked.tier }] : []),
    ...credentials.map(([credential]) => ({ credential })),
  ];
}

/** Both together: plans that pinned an older version keep what that one may do. */
export function joinPermissions(agreed: Permissions | null, more: Permissions): Permissions {
  if (agreed === null) return more;
  const added = more.hosts.filter((host) => !agreed.hosts.some(isSame(host)));
  return {
    hosts: [...agreed.hosts, ...added],
    tier: exceedsTier(more.tier, agreed.tier) ? more.tier : agreed.tier,
    ...joinCredentials(agreed.credentials, more.credentials),
  };
}

/**
 * Whether turning the plugin on isn't agreement enough: the permission has no end that the manifest
 * would tell, or leaves the isolate.
 */
export function needsExplicitConsent(permission: MissingPermission): boolean {
  if ('tier' in permission) return permission.tier === 'worker';
  if ('credential' in permission) return false;
  return permission.host === '*' || isFromInput(permission.host);
}

/** For people: `api.example.com`, `any public host`, `the tier "worker"`. */
export function describePermissions(permissions: readonly MissingPermission[]): string {
  return permissions.map(describe).join(', ');
}

function describe(permission: MissingPermission): string {
  if ('tier' in permission) return `the tier "${permission.tier}"`;
  if ('credential' in permission) {
    return `where it places the secrets of credentials of type "${permission.credential}"`;
  }
  const { host } = permission;
  if (host === '*') return 'any public host (*)';
  if (typeof host === 'string') return host;
  return 'fromInput' in host
    ? `any host that a step names in "${host.fromInput}"`
    : `the host of a credential's "${host.fromCredential}"`;
}

/** Whether an agreed entry covers the one that is asked for. */
function covers(asked: HostPermission): (agreed: HostPermission) => boolean {
  return (agreed) => {
    if (isSame(asked)(agreed)) return true;
    if (typeof agreed !== 'string') return false;
    if (agreed === '*') return typeof asked === 'string' || isFromInput(asked);
    // `*.example.com` covers `a.example.com` and `*.a.example.com`, never `*` or `example.com`.
    return agreed.startsWith('*.') && typeof asked === 'string' && asked.endsWith(agreed.slice(1));
  };
}

function isSame(one: HostPermission): (other: HostPermission) => boolean {
  return (other) => keyOf(one) === keyOf(other);
}

function keyOf(host: HostPermission): string {
  if (typeof host === 'string') return host;
  return 'fromInput' in host ? `input ${host.fromInput}` : `credential ${host.fromCredential}`;
}

function isFromInput(host: HostPermission): boolean {
  return typeof host !== 'string' && 'fromInput' in host;
}

function useOf({ inject, fields }: CredentialManifest): string {
  const secrets = fields.filter(({ secret }) => secret).map(({ name }) => name);
  return sha256(canonicalJson({ inject: inject as object as JsonObject, secrets: secrets.sort() }));
}

function joinCredentials(
  agreed: Permissions['credentials'],
  more: Permissions['credentials'],
): Pick<Permissions, 'credentials'> {
  if (agreed === undefined && more === undefined) return {};
  const ids = new Set([...Object.keys(agreed ?? {}), ...Object.keys(more ?? {})]);
  const both = [...ids].map((id): [string, string[]] => [
    id,
    [...new Set([...(agreed?.[id] ?? []), ...(more?.[id] ?? [])])],
  ]);
  return { credentials: Object.fromEntries(both) };
}

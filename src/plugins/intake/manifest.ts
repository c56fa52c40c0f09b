import { createHash } from 'node:crypto';

import type {
  ActionManifest,
  AuthoredManifest,
  PluginDescription,
  PluginManifest,
} from '@stepwell/plugin-sdk';

import { canonicalJson } from '../../common/json.js';
import type { JsonObject, JsonValue } from '../../common/json.js';

/** The parts of a plugin's package.json that go into its manifest. */
export interface PackageFacts {
  name: string;
  version: string;
  license?: string;
  stepwell: AuthoredManifest;
}

/** The manifest: what the author wrote, what the code says of itself, and digests of both. */
export function deriveManifest(parts: {
  packageFacts: PackageFacts;
  description: PluginDescription;
  bundle: string;
}): PluginManifest {
  const { packageFacts, description, bundle } = parts;
  return {
    manifestVersion: 1,
    package: packageFacts.name,
    version: packageFacts.version,
    ...(packageFacts.license === undefined ? {} : { license: packageFacts.license }),
    ...deriveAuthored(packageFacts.stepwell, description),
    ...description,
    contracts: deriveContracts(description),
    bundle: { digest: sha256(bundle), bytes: Buffer.byteLength(bundle) },
  };
}

/** The authored part with its defaults: a plugin without code is declarative. */
export function deriveAuthored(
  authored: AuthoredManifest,
  description: PluginDescription,
): Pick<PluginManifest, 'engine' | 'tier' | 'permissions' | 'limits'> {
  const hasCode = description.actions.some((action) => action.form === 'code');
  return {
    engine: authored.engine,
    tier: authored.tier ?? (hasCode ? 'isolate' : 'declarative'),
    permissions: { hosts: authored.permissions?.hosts ?? [] },
    limits: authored.limits ?? {},
  };
}

/** Digest of each action's contract, by action id: what a plan relies on. */
export function deriveContracts(description: PluginDescription): Record<string, string> {
  return Object.fromEntries(
    description.actions.map((action) => [action.id, sha256(canonicalJson(contractOf(action)))]),
  );
}

/** The content digest of a plugin version, `sha256-<hex>`; it covers the bundle by the bundle's own. */
export function manifestDigest(manifest: PluginManifest): string {
  return sha256(canonicalJson(asJson(manifest)));
}

/** `sha256-<hex>` of a text as UTF-8. */
export function sha256(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('hex')}`;
}

/** A manifest, or a part of one, as the JSON that it is: interfaces lack index signatures. */
export function asJson(value: PluginManifest | PluginDescription | ActionManifest): JsonObject {
  return value as object as JsonObject;
}

function contractOf({ input, output, effects, idempotency, wait }: ActionManifest): JsonValue {
  return {
    input,
    output,
    effects,
    idempotency,
    ...(wait === undefined ? {} : { wait: { ...wait } }),
  };
}

import { createHash } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { PluginManifest } from '@stepwell/plugin-sdk';

import { isJsonObject } from '../../common/json.js';
import type { JsonValue } from '../../common/json.js';
import { MAX_BUNDLE_BYTES } from './bundle-sources.js';
import { findCredentialProblems } from './credential-problems.js';
import { findHostProblems } from './description.js';
import { IntakeError, refuse } from './intake-error.js';
import { findDifferences } from './json-difference.js';
import { manifestSchema } from './manifest-schemas.js';
import { asJson, deriveAuthored, sha256 } from './manifest.js';
import type { PackedPlugin } from './pack-plugin.js';
import { parseDocument, readPackageJson } from './package-json.js';
import { check } from './problems.js';
import { readArchive } from './read-archive.js';
import { findTextProblems } from './text-problems.js';

/**
 * Reads a packed plugin from its folder or its `.tgz`. No code of it runs; what the bundle says of
 * itself is `verifyPlugin`'s business.
 * @param path a folder with package.json and dist/, or a `.tgz`
 * @param options.integrity what the archive's bytes must be, as npm writes it (`sha512-<base64>`)
 * @throws IntakeError `plugin.package_refused`, `plugin.manifest_invalid`, `plugin.manifest_mismatch`
 *   (package.json and manifest.json disagree) or `plugin.digest_mismatch`
 */
export async function readPackage(
  path: string,
  options: { integrity?: string } = {},
): Promise<PackedPlugin> {
  const found = await lstat(path).catch(() => null);
  if (found?.isDirectory()) return toPlugin(await readFolder(path));
  if (!found?.isFile()) throw refusedPackage(`${path} is neither a folder nor a file`);
  if (found.size > MAX_ARCHIVE_BYTES) throw refusedPackage(`${path} is larger than 8 MiB`);
  return readPackageArchive(await readFile(path), options);
}

/** The same from the bytes of a `.tgz`, such as an upload. */
export async function readPackageArchive(
  bytes: Uint8Array,
  options: { integrity?: string } = {},
): Promise<PackedPlugin> {
  if (options.integrity !== undefined) assertIntegrity(bytes, options.integrity);
  return toPlugin(await readArchive({ bytes, wanted: WANTED }));
}

const MAX_ARCHIVE_BYTES = 8 * 1024 * 1024;

/** The files that make a packed plugin, and their largest sizes in bytes. */
const WANTED = {
  'package.json': 256 * 1024,
  'dist/manifest.json': 4 * 1024 * 1024,
  'dist/bundle.js': MAX_BUNDLE_BYTES,
};

async function readFolder(dir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const dist = await lstat(join(dir, 'dist')).catch(() => null);
  if (dist?.isSymbolicLink() === true) throw refusedPackage(`${join(dir, 'dist')} is a link`);
  for (const [name, maxBytes] of Object.entries(WANTED)) {
    const path = join(dir, name);
    const found = await lstat(path).catch(() => null);
    if (found === null) continue;
    if (!found.isFile()) throw refusedPackage(`${path} isn't a file`);
    if (found.size > maxBytes) {
      throw refusedPackage(`${path} is larger than ${String(maxBytes)} bytes`);
    }
    files.set(name, await readFile(path, 'utf8'));
  }
  return files;
}

function toPlugin(files: Map<string, string>): PackedPlugin {
  const [packageText, manifestText, bundle] = Object.keys(WANTED).map((name) => {
    const text = files.get(name);
    if (text === undefined) {
      throw refusedPackage(`${name} is missing: make it with \`stepwell-plugin pack\``);
    }
    return text;
  }) as [string, string, string];
  const manifest = readManifest(parseDocument('manifest.json', manifestText));
  assertPackageAgrees(packageText, manifest);
  assertBundle(manifest, bundle);
  return { manifest, bundle };
}

/**
 * Takes a parsed manifest.json.
 * @throws IntakeError `plugin.manifest_invalid` with every problem
 */
export function readManifest(value: JsonValue): PluginManifest {
  const version = isJsonObject(value) ? value.manifestVersion : undefined;
  if (version !== 1) {
    const actual = version === undefined ? 'missing' : JSON.stringify(version);
    const detail = `is ${actual}; this host reads manifests of version 1`;
    throw refuse('plugin.manifest_invalid', 'manifest.json', [
      { pointer: '/manifestVersion', detail },
    ]);
  }
  const checked = check(manifestSchema, value);
  if (!checked.ok) throw refuse('plugin.manifest_invalid', 'manifest.json', checked.problems);
  const manifest = checked.value as PluginManifest;
  const { hosts } = manifest.permissions;
  const problems = [
    ...findTextProblems(value),
    ...findHostProblems(manifest, hosts),
    ...findCredentialProblems(manifest, hosts),
  ];
  if (problems.length > 0) throw refuse('plugin.manifest_invalid', 'manifest.json', problems);
  return manifest;
}

/** npm shows package.json, admins approve manifest.json: they have to be of one mind. */
function assertPackageAgrees(packageText: string, manifest: PluginManifest): void {
  const facts = readPackageJson(packageText);
  const expected: PluginManifest = {
    ...manifest,
    ...deriveAuthored(facts.stepwell, manifest),
    id: facts.stepwell.id,
    package: facts.name,
    version: facts.version,
  };
  const differences = findDifferences(asJson(manifest), asJson(expected));
  if (differences.length === 0) return;
  throw refuse(
    'plugin.manifest_mismatch',
    'manifest.json',
    differences.map((pointer) => ({ pointer, detail: 'differs from package.json: pack it again' })),
  );
}

function assertBundle({ bundle: claimed }: PluginManifest, bundle: string): void {
  const problems = [
    ...(claimed.digest === sha256(bundle)
      ? []
      : [{ pointer: '/bundle/digest', detail: "isn't the digest of the bundle" }]),
    ...(claimed.bytes === Buffer.byteLength(bundle)
      ? []
      : [{ pointer: '/bundle/bytes', detail: "isn't the size of the bundle" }]),
  ];
  if (problems.length > 0) throw refuse('plugin.digest_mismatch', 'dist/bundle.js', problems);
}

function assertIntegrity(bytes: Uint8Array, integrity: string): void {
  const actual = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  if (actual === integrity) return;
  throw new IntakeError(
    'plugin.digest_mismatch',
    `the archive's bytes aren't those that were asked for: expected ${integrity}, got ${actual}`,
  );
}

function refusedPackage(reason: string): IntakeError {
  return new IntakeError('plugin.package_refused', reason, [{ pointer: '', detail: reason }]);
}

import type { PluginDescription, PluginManifest } from '@stepwell/plugin-sdk';

import type { JsonValue } from '../../common/json.js';
import { readDescription } from './description.js';
import { IntakeError, refuse } from './intake-error.js';
import type { IntakePorts } from './intake-ports.js';
import { findDifferences } from './json-difference.js';
import { asJson, deriveContracts } from './manifest.js';

/**
 * Proves that a manifest tells the truth about its bundle: the bundle describes itself again in an
 * isolate and the two are compared, so that what an admin approves is what runs.
 * @throws IntakeError `plugin.load_failed`, `plugin.manifest_invalid` or `plugin.manifest_mismatch`;
 *   the latter with a JSON Pointer into the manifest for each place that differs
 */
export async function verifyPlugin(
  plugin: { manifest: PluginManifest; bundle: string },
  ports: IntakePorts,
): Promise<void> {
  const { manifest } = plugin;
  const described = await describeBundle(plugin.bundle, ports);
  const description = await readDescription(described, manifest, ports);
  const claimed = { ...descriptionOf(manifest), contracts: manifest.contracts };
  const actual = { ...description, contracts: deriveContracts(description) };
  const pointers = findDifferences(asJson(claimed), asJson(actual));
  if (pointers.length === 0) return;
  throw refuse(
    'plugin.manifest_mismatch',
    `the manifest of "${manifest.id}" isn't what its bundle says`,
    pointers.map((pointer) => ({ pointer, detail: 'differs from what the bundle describes' })),
  );
}

/**
 * Asks a bundle in an isolate to describe itself.
 * @throws IntakeError `plugin.load_failed`, or `plugin.package_refused` for one that can't be stored
 */
export async function describeBundle(bundle: string, ports: IntakePorts): Promise<JsonValue> {
  if (bundle.includes('\0')) {
    const reason = 'the bundle holds a NUL character, which no database takes: write it as \\0';
    throw new IntakeError('plugin.package_refused', reason, [{ pointer: '', detail: reason }]);
  }
  try {
    return await ports.describe(bundle);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new IntakeError(
      'plugin.load_failed',
      `the bundle can't describe itself in an isolate: ${reason}`,
      [{ pointer: '', detail: reason }],
      { cause: error },
    );
  }
}

function descriptionOf(manifest: PluginManifest): PluginDescription {
  const { id, title, description, actions, credentials } = manifest;
  return {
    id,
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    actions,
    ...(credentials === undefined ? {} : { credentials }),
  };
}

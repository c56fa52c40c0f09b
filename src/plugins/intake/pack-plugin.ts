import { lstat, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import type { PluginManifest } from '@stepwell/plugin-sdk';

import { bundleSources } from './bundle-sources.js';
import { readDescription } from './description.js';
import { IntakeError } from './intake-error.js';
import type { IntakePorts } from './intake-ports.js';
import { deriveManifest } from './manifest.js';
import { readPackageJson } from './package-json.js';
import { describeBundle } from './verify-plugin.js';

/** A plugin as a host takes it. */
export interface PackedPlugin {
  manifest: PluginManifest;
  /** Text of the bundle. */
  bundle: string;
}

/**
 * Makes a plugin from its sources: bundles the entry, asks the bundle in an isolate what it holds,
 * and derives the manifest. Nothing is written, no script of the package runs. The same sources
 * give the same bytes.
 * @param dir folder that holds package.json
 * @throws IntakeError with every problem of the stage that failed
 */
export async function packPlugin(dir: string, ports: IntakePorts): Promise<PackedPlugin> {
  const root = resolve(dir);
  const packageFacts = readPackageJson(await readPackageText(root));
  const { stepwell } = packageFacts;
  await assertFile(join(root, stepwell.entry), stepwell.entry);
  const bundle = await bundleSources({ dir: root, entry: stepwell.entry });
  const described = await describeBundle(bundle, ports);
  const description = await readDescription(described, stepwell, ports);
  return { manifest: deriveManifest({ packageFacts, description, bundle }), bundle };
}

const MAX_PACKAGE_JSON_BYTES = 256 * 1024;

async function readPackageText(root: string): Promise<string> {
  const path = join(root, 'package.json');
  const found = await lstat(path).catch(() => null);
  if (!found?.isFile()) {
    throw new IntakeError('plugin.package_refused', `${root} holds no package.json`);
  }
  if (found.size > MAX_PACKAGE_JSON_BYTES) {
    throw new IntakeError('plugin.package_refused', `${path} is larger than 256 KiB`);
  }
  return readFile(path, 'utf8');
}

async function assertFile(path: string, entry: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found?.isFile()) return;
  const fault = found === null ? "isn't there" : "isn't a regular file";
  const detail = `names ${entry}, which ${fault}`;
  throw new IntakeError('plugin.manifest_invalid', `package.json: /stepwell/entry ${detail}`, [
    { pointer: '/stepwell/entry', detail },
  ]);
}

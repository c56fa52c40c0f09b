import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Inject, Injectable } from '@nestjs/common';

import { INTAKE_PORTS, PLUGIN_PATHS } from './plugin-tokens.js';
import { IntakeError } from './intake/intake-error.js';
import type { IntakePorts } from './intake/intake-ports.js';
import { packPlugin, type PackedPlugin } from './intake/pack-plugin.js';
import { readPackage } from './intake/read-package.js';
import { verifyPlugin } from './intake/verify-plugin.js';
import type { PluginOrigin } from './plugin.entity.js';

export interface PluginSource {
  path: string;
  origin: PluginOrigin;
}

export interface FoundPlugin {
  source: PluginSource;
  plugin: PackedPlugin;
  /** Packing derives the manifest in an isolate itself; a package that came packed is checked. */
  isPackedHere: boolean;
}

/** Where plugins come from: those that ship with the host, and those that the operator lists. */
@Injectable()
export class PluginDiscovery {
  constructor(
    @Inject(PLUGIN_PATHS) private readonly operatorPaths: string[],
    @Inject(INTAKE_PORTS) private readonly ports: IntakePorts,
  ) {}

  sources(): PluginSource[] {
    const folder = fileURLToPath(new URL('../../plugins/', import.meta.url));
    const firstParty = readdirSync(folder, { withFileTypes: true })
      .filter(
        (entry) => entry.isDirectory() && existsSync(join(folder, entry.name, 'package.json')),
      )
      .map((entry): PluginSource => ({ path: join(folder, entry.name), origin: 'first_party' }));
    return [
      ...firstParty,
      ...this.operatorPaths.map((path): PluginSource => ({ path, origin: 'operator' })),
    ];
  }

  /**
   * Reads a packed folder or archive; packs any other folder first.
   * @throws IntakeError with the reason.
   */
  async read(source: PluginSource): Promise<FoundPlugin> {
    const isFolderOfSources =
      !source.path.endsWith('.tgz') &&
      existsSync(join(source.path, 'package.json')) &&
      !existsSync(join(source.path, 'dist', 'manifest.json'));
    const plugin = isFolderOfSources
      ? await packPlugin(source.path, this.ports)
      : await readPackage(source.path);
    assertNameIsFree(source, plugin.manifest.package);
    return { source, plugin, isPackedHere: isFolderOfSources };
  }

  /** @throws IntakeError when the bundle isn't what its manifest says. */
  async verify(found: FoundPlugin): Promise<void> {
    if (!found.isPackedHere) await verifyPlugin(found.plugin, this.ports);
  }
}

/** Names of our own, so that nobody's package passes for a part of the host. */
const RESERVED_SCOPE = '@stepwell/';

function assertNameIsFree({ origin }: PluginSource, name: string): void {
  if (origin !== 'operator' || !name.toLowerCase().startsWith(RESERVED_SCOPE)) return;
  const reason = `the package is named "${name}"; names in ${RESERVED_SCOPE} are for plugins that ship with the host`;
  throw new IntakeError('plugin.package_refused', reason, [
    { pointer: '/package', detail: reason },
  ]);
}

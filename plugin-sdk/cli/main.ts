import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { Command } from 'commander';

import { IntakeError } from '../../src/plugins/intake/intake-error.js';
import type { IntakePorts } from '../../src/plugins/intake/intake-ports.js';
import { manifestDigest } from '../../src/plugins/intake/manifest.js';
import { packPlugin } from '../../src/plugins/intake/pack-plugin.js';
import type { PackedPlugin } from '../../src/plugins/intake/pack-plugin.js';
import { readPackage } from '../../src/plugins/intake/read-package.js';
import { verifyPlugin } from '../../src/plugins/intake/verify-plugin.js';
import { writeArchive, writePacked } from '../../src/plugins/intake/write-package.js';
import { findMissingPeers } from './optional-peers.js';
import { printFailure, printPlugin } from './print.js';
import { withIsolate } from './with-isolate.js';

/** Runs `stepwell-plugin`; sets the exit code to 1 when a plugin is refused. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const program = new Command('stepwell-plugin').description(
    'Packs and checks plugins for Stepwell. Their code runs in a real isolate, never in this process.',
  );
  program
    .command('pack')
    .argument('<dir>', 'folder with package.json')
    .option('--out <dir>', 'where to put <id>-<version>.tgz; default: the folder itself')
    .description('bundle a plugin, derive its manifest, and write dist/ and the archive to publish')
    .action((dir: string, options: { out?: string }) => report(pack(dir, options.out ?? dir)));
  program
    .command('check')
    .argument('<path>', 'folder of a plugin, packed or not, or a .tgz')
    .description('say whether a host would take a plugin, and what it would see; writes nothing')
    .action((path: string) => report(check(path)));
  program.hook('preAction', () => {
    const missing = findMissingPeers(import.meta.url);
    if (missing !== null) program.error(missing);
  });
  await program.parseAsync(argv);
}

async function pack(dir: string, outDir: string): Promise<void> {
  await withIsolate(async (ports) => {
    const plugin = await packPlugin(dir, ports);
    await writePacked(dir, plugin);
    const archive = await writeArchive({ dir: resolve(dir), outDir: resolve(outDir), plugin });
    printPlugin(plugin, `packed ${archive}`);
  });
}

async function check(path: string): Promise<void> {
  await withIsolate(async (ports) => {
    const isArchive = path.endsWith('.tgz');
    const packed =
      isArchive || existsSync(join(path, 'dist/manifest.json')) ? await readPackage(path) : null;
    if (packed !== null) await verifyPlugin(packed, ports);
    const fresh = isArchive ? null : await packIfSources(path, ports, packed !== null);
    if (fresh === null && packed !== null) {
      printPlugin(packed, 'packed well: its manifest is what its bundle says');
    } else if (fresh !== null) printPlugin(fresh, compare(fresh, packed));
  });
}

/** A package from a registry has no sources; that is a fault only where nothing is packed either. */
async function packIfSources(
  dir: string,
  ports: IntakePorts,
  isPacked: boolean,
): Promise<PackedPlugin | null> {
  try {
    return await packPlugin(dir, ports);
  } catch (error) {
    const isMissing =
      error instanceof IntakeError &&
      error.problems.some(({ pointer }) => pointer === '/stepwell/entry');
    if (isPacked && isMissing) return null;
    throw error;
  }
}

function compare(fresh: PackedPlugin, packed: PackedPlugin | null): string {
  if (packed === null) return 'the sources are sound; nothing is packed yet';
  return manifestDigest(packed.manifest) === manifestDigest(fresh.manifest)
    ? 'the sources are sound, and dist/ is what they make'
    : 'the sources are sound, but dist/ is not what they make: pack again';
}

async function report(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    printFailure(error);
    process.exitCode = 1;
  }
}

import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { create } from 'tar';

import type { PackedPlugin } from './pack-plugin.js';

/** Writes `dist/manifest.json` and `dist/bundle.js` below a plugin's folder. */
export async function writePacked(dir: string, plugin: PackedPlugin): Promise<void> {
  const dist = join(dir, 'dist');
  await mkdir(dist, { recursive: true });
  await writeFile(join(dist, 'manifest.json'), `${JSON.stringify(plugin.manifest, null, 2)}\n`);
  await writeFile(join(dist, 'bundle.js'), plugin.bundle);
}

/**
 * Writes `<id>-<version>.tgz` as npm lays packages out, so that `npm publish` takes it as it is. Call
 * it after `writePacked`. The same files give the same bytes.
 * @returns path of the archive
 */
export async function writeArchive(parts: {
  dir: string;
  outDir: string;
  plugin: PackedPlugin;
}): Promise<string> {
  const { id, version } = parts.plugin.manifest;
  await mkdir(parts.outDir, { recursive: true });
  const file = join(parts.outDir, `${id}-${version}.tgz`);
  await create(
    {
      file,
      cwd: parts.dir,
      prefix: 'package',
      gzip: { level: 9, portable: true },
      portable: true,
      mtime: PACKED_AT,
    },
    await listFiles(parts.dir),
  );
  return file;
}

/** A fixed time: npm's, the first year that every zip tool can show. */
const PACKED_AT = new Date('1985-10-26T08:15:00.000Z');

const REQUIRED = ['package.json', 'dist/manifest.json', 'dist/bundle.js'];
const OPTIONAL = ['README.md', 'LICENSE'];

async function listFiles(dir: string): Promise<string[]> {
  const found = await Promise.all(
    OPTIONAL.map(async (name) => {
      const stats = await lstat(join(dir, name)).catch(() => null);
      return stats?.isFile() === true ? [name] : [];
    }),
  );
  return [...REQUIRED, ...found.flat()];
}

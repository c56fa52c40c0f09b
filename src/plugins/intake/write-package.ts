import { constants } from 'node:fs';
import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { create } from 'tar';

import { IntakeError } from './intake-error.js';
import type { PackedPlugin } from './pack-plugin.js';

/**
 * Writes `dist/manifest.json` and `dist/bundle.js` below a plugin's folder.
 * @throws IntakeError `plugin.package_refused` when dist/ or one of the two is there already as
 *   anything but a folder and files: a link would have others' files overwritten
 */
export async function writePacked(dir: string, plugin: PackedPlugin): Promise<void> {
  const dist = join(dir, 'dist');
  const files = {
    'manifest.json': `${JSON.stringify(plugin.manifest, null, 2)}\n`,
    'bundle.js': plugin.bundle,
  };
  const folder = await lstat(dist).catch(() => null);
  if (folder?.isDirectory() === false) throw refused("dist isn't a folder");
  await mkdir(dist, { recursive: true });
  for (const name of Object.keys(files)) await assertFree(join(dist, name), `dist/${name}`);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(dist, name), text, { flag: OVERWRITE });
  }
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
  const name = `${id}-${version}.tgz`;
  const file = join(parts.outDir, name);
  await assertFree(file, name);
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

const OVERWRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

async function assertFree(path: string, name: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found?.isFile() === false) throw refused(`${name} isn't a regular file`);
}

function refused(reason: string): IntakeError {
  return new IntakeError('plugin.package_refused', `nothing is written: ${reason}`, [
    { pointer: '', detail: reason },
  ]);
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

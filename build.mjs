/**
 * Builds everything that `npm start` runs: `node build.mjs`, or with `--if-changed` only when a
 * source is newer than the last build.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const root = import.meta.dirname;
const stampFile = join(root, 'dist', '.stamp');
const SOURCES = [
  'src',
  'plugin-sdk',
  'plugins',
  'build.mjs',
  'package-lock.json',
  'tsconfig.json',
  '.swcrc',
  'nest-cli.json',
];

const stamp = stampOf(SOURCES);
const isCurrent = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
if (!process.argv.includes('--if-changed') || !isCurrent) await build();

async function build() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('tsc', '-p', 'plugin-sdk');
  const { buildSandboxAssets } = await import('./src/sandbox/assets.build.mjs');
  const { buildSchemaWorker } = await import('./src/sandbox/schema/worker.build.mjs');
  const assets = join(root, 'dist', 'sandbox-assets');
  await Promise.all([buildSandboxAssets(assets), buildSchemaWorker(assets)]);
  run('nest', 'build');
  const { buildSdk } = await import('./plugin-sdk/build.mjs');
  await buildSdk();
  mkdirSync(join(root, 'dist', 'packages'), { recursive: true });
  for (const { name } of readdirSync(join(root, 'plugins'), { withFileTypes: true })) {
    if (!existsSync(join(root, 'plugins', name, 'package.json'))) continue;
    execFileSync(
      process.execPath,
      ['plugin-sdk/bin/stepwell-plugin.js', 'pack', `plugins/${name}`, '--out', 'dist/packages'],
      {
        cwd: root,
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
  }
  writeFileSync(stampFile, stamp);
}

/** Runs a program that npm installed, in the project's folder. */
function run(program, ...args) {
  const bin = join(
    root,
    'node_modules',
    '.bin',
    process.platform === 'win32' ? `${program}.cmd` : program,
  );
  execFileSync(bin, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Changes with the path, size and time of every source file; what builds write doesn't count. */
function stampOf(paths) {
  const hash = createHash('sha256');
  const visit = (path) => {
    const stat = statSync(join(root, path));
    if (!stat.isDirectory()) {
      hash.update(`${path} ${String(stat.size)} ${String(stat.mtimeMs)}\n`);
      return;
    }
    for (const name of readdirSync(join(root, path)).sort()) {
      if (name !== 'dist' && name !== 'node_modules' && !name.endsWith('.tgz'))
        visit(`${path}/${name}`);
    }
  };
  paths.forEach(visit);
  return hash.digest('hex');
}

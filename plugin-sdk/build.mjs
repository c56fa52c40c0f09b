/**
 * The SDK's second half of a build: after `tsc -p plugin-sdk` and the build of dist/sandbox-assets,
 * it bundles the CLI with the host's own intake and sandbox, so that both judge plugins alike.
 */
import { chmod, cp, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

/** Writes dist/cli/main.js, the bundler beside it, and dist/sandbox-assets/ of the SDK. */
export async function buildSdk() {
  await rm(here('dist/cli'), { recursive: true, force: true });
  await build({
    // The bundler is a script that main.js runs as a process of its own.
    entryPoints: { main: here('cli/main.ts'), bundler: here('../src/plugins/intake/bundler.ts') },
    outdir: here('dist/cli'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    legalComments: 'eof',
    logLevel: 'warning',
    external: ['isolated-vm', 'esbuild', 'tar', 'commander', 'piscina', 'undici'],
    // Bundled CommonJS packages look for `require`.
    banner: {
      js: "import { createRequire as cliRequire } from 'node:module'; const require = cliRequire(import.meta.url);",
    },
  });
  await cp(here('../dist/sandbox-assets'), here('dist/sandbox-assets'), { recursive: true });
  await chmod(here('bin/stepwell-plugin.js'), 0o755);
}

function here(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildSdk();

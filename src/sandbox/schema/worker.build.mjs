import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

/**
 * Bundles the thread of the untrusted schema lane into one file that runs anywhere.
 *
 * @param {string} outDir where `schema-worker.mjs` is written
 * @returns {Promise<string>} its path
 */
export async function buildSchemaWorker(outDir) {
  const outfile = join(outDir, 'schema-worker.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    sourcemap: false,
    legalComments: 'inline',
    logLevel: 'warning',
  });
  return outfile;
}

/**
 * Builds what runs outside of the host's own process: the kernel (text for an isolate) and the
 * child (a script for a bare node).
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

/**
 * @param {string} outDir folder for kernel.js and child.cjs; made if it isn't there
 */
export async function buildSandboxAssets(outDir) {
  await mkdir(outDir, { recursive: true });
  const common = {
    bundle: true,
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    write: true,
  };
  await Promise.all([
    build({
      ...common,
      entryPoints: [here('guest/kernel.ts')],
      outfile: `${outDir}/kernel.js`,
      format: 'iife',
      target: 'es2024',
      platform: 'neutral',
      mainFields: ['main'],
      plugins: [urlParserAlone],
    }),
    build({
      ...common,
      entryPoints: [here('child/main.ts')],
      outfile: `${outDir}/child.cjs`,
      format: 'cjs',
      target: 'node24',
      platform: 'node',
      external: ['isolated-vm'],
    }),
  ]);
}

/** whatwg-url without its mapping tables, its legacy encodings and its WebIDL layer. */
const urlParserAlone = {
  name: 'url-parser-alone',
  setup(builder) {
    const shims = {
      tr46: 'tr46',
      '@exodus/bytes/whatwg.js': 'percent-encode',
      '@exodus/bytes/encoding.js': 'empty',
    };
    builder.onResolve({ filter: /^(tr46|@exodus\/bytes\/(whatwg|encoding)\.js)$/ }, ({ path }) => ({
      path: here(`guest/shims/${shims[path]}.ts`),
    }));
    builder.onResolve({ filter: /^\.\/encoding$/ }, ({ importer }) =>
      /whatwg-url[\\/]lib[\\/]/.test(importer)
        ? { path: here('guest/shims/url-encoding.ts') }
        : undefined,
    );
  },
};

function here(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}

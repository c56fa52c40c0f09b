import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { relative } from 'node:path';

import * as esbuild from 'esbuild';
import type { BuildFailure, BuildOptions, Message, Plugin } from 'esbuild';

import { IntakeError, refuse } from './intake-error.js';
import type { IntakeProblem } from './intake-error.js';

/** The largest bundle that a host takes: it is compiled anew for every call. */
export const MAX_BUNDLE_BYTES = 3 * 1024 * 1024;

/**
 * Bundles an entry file into one classic script that sets `__stepwell_plugin`. The text depends on
 * the sources and on how node_modules lies around them, never on time or machine.
 * @param source.dir absolute folder of the package
 * @param source.entry path below it
 * @throws IntakeError `plugin.bundle_refused` with each message of the bundler, or when what the
 *   sources ask for doesn't exist in an isolate: Node built-ins, native addons, WebAssembly, `require`
 *   and `import()` of names that aren't known before run time
 */
export async function bundleSources(source: { dir: string; entry: string }): Promise<string> {
  const files = { count: 0, bytes: 0 };
  const built = await runBundler({
    absWorkingDir: source.dir,
    entryPoints: [source.entry.startsWith('./') ? source.entry : `./${source.entry}`],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: '__stepwell_plugin',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import', 'module'],
    target: 'es2024',
    charset: 'utf8',
    legalComments: 'none',
    // A tsconfig of the package could move imports elsewhere.
    tsconfigRaw: {},
    logLevel: 'silent',
    logOverride: {
      'unsupported-require-call': 'error',
      'unsupported-dynamic-import': 'error',
      'indirect-require': 'error',
    },
    plugins: [onlyWhatAnIsolateHas(source.dir, files)],
  });
  // A second pass drops the comments that name each file's path: they say where it was built.
  const { code } = await esbuild.transform(built, {
    target: 'es2024',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
  });
  const bytes = Buffer.byteLength(code);
  if (bytes > MAX_BUNDLE_BYTES) {
    throw refused([
      { text: `the bundle has ${String(bytes)} bytes; ${String(MAX_BUNDLE_BYTES)} are allowed` },
    ]);
  }
  return code;
}

const BUILD_TIMEOUT_MS = 60_000;
const MAX_FILES = 5_000;
/** At some 300,000 the bundler takes a gigabyte of stack and dies. */
const MAX_NESTING = 20_000;

async function runBundler(options: BuildOptions & { write: false }): Promise<string> {
  const context = await esbuild.context(options);
  const timer = setTimeout(() => void context.cancel(), BUILD_TIMEOUT_MS);
  try {
    const result = await context.rebuild();
    return result.outputFiles[0]?.text ?? '';
  } catch (error) {
    if (isBuildFailure(error)) throw refused(error.errors, error);
    // The bundler's own process died, and with it every build after this one until it is started anew.
    await esbuild.stop();
    const cause = error instanceof Error ? error.message : String(error);
    throw refused([{ text: `the bundler gave up: ${cause}` }], error);
  } finally {
    clearTimeout(timer);
    await context.dispose();
  }
}

/** Refuses at build time, with a name and a line, what would fail inside at run time. */
function onlyWhatAnIsolateHas(dir: string, files: { count: number }): Plugin {
  return {
    name: 'only-what-an-isolate-has',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        if (kind === 'entry-point' || !isBuiltin(path)) return undefined;
        return {
          errors: [{ text: `"${path}" is a part of Node.js: it doesn't exist in an isolate` }],
        };
      });
      build.onLoad({ filter: /\.(node|wasm)$/ }, ({ path }) => ({
        errors: [
          { text: `${relative(dir, path)}: native and WebAssembly code can't run in an isolate` },
        ],
      }));
      build.onLoad({ filter: /.*/ }, async ({ path }) => {
        files.count += 1;
        if (files.count > MAX_FILES) {
          return { errors: [{ text: `more than ${String(MAX_FILES)} source files` }] };
        }
        if (!isNestedTooDeep(await readFile(path))) return undefined;
        const name = relative(dir, path);
        return {
          errors: [{ text: `${name}: nested deeper than ${String(MAX_NESTING)} brackets` }],
        };
      });
    },
  };
}

/** Counts brackets in texts and comments, too: no source that people write comes near the limit. */
function isNestedTooDeep(source: Buffer): boolean {
  let depth = 0;
  for (const byte of source) {
    if (byte === 0x28 || byte === 0x5b || byte === 0x7b) {
      if (++depth > MAX_NESTING) return true;
    } else if (depth > 0 && (byte === 0x29 || byte === 0x5d || byte === 0x7d)) depth--;
  }
  return false;
}

function refused(
  messages: readonly Pick<Partial<Message>, 'text' | 'location'>[],
  cause?: unknown,
): IntakeError {
  const problems = messages.map(toProblem);
  const error = refuse('plugin.bundle_refused', 'the sources make no bundle', problems);
  return cause === undefined
    ? error
    : new IntakeError(error.code, error.message, problems, { cause });
}

function toProblem({
  text = '',
  location,
}: Pick<Partial<Message>, 'text' | 'location'>): IntakeProblem {
  if (!location) return { pointer: '', detail: text };
  return { pointer: '', detail: `${location.file}:${String(location.line)}: ${text}` };
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

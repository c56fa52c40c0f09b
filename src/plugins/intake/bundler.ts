/**
 * A process of its own that bundles one package: a line of JSON comes in, a line of JSON goes out.
 * It has an empty environment, which esbuild's process inherits; what sources can do to a bundler,
 * they do to nobody else. It imports no file of ours, since tests run it straight from this source.
 */
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, extname, join, relative, sep } from 'node:path';
import { createInterface } from 'node:readline';

import * as esbuild from 'esbuild';
import type { Loader, Message, OnLoadResult, OnResolveArgs, Plugin, PluginBuild } from 'esbuild';

export interface BundleRequest {
  /** Absolute real folder of the package. */
  dir: string;
  /** Path below it. */
  entry: string;
  timeoutMs: number;
  maxBundleBytes: number;
}

/** A bundle, or what is wrong: `at` is `file:line` where that is known. */
export type BundleAnswer = { code: string } | { problems: { at?: string; text: string }[] };

const LOADERS: Readonly<Record<string, Loader>> = {
  '.js': 'js',
  '.mjs': 'js',
  '.cjs': 'js',
  '.jsx': 'jsx',
  '.ts': 'ts',
  '.mts': 'ts',
  '.cts': 'ts',
  '.tsx': 'tsx',
  '.json': 'json',
};
const MAX_FILES = 5_000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_SOURCE_BYTES = 64 * 1024 * 1024;
/** At some 300,000 the bundler takes a gigabyte of stack and dies. */
const MAX_NESTING = 20_000;

const lines = createInterface({ input: process.stdin });
// Whoever asked went away, or has the answer.
lines.once('close', () => {
  process.stdin.destroy();
  void esbuild.stop();
});
lines.once('line', (line) => void answer(JSON.parse(line) as BundleRequest));

async function answer(request: BundleRequest): Promise<void> {
  const late = `the bundler took longer than ${String(request.timeoutMs)} ms`;
  // Cancelling waits for reads under way, and a read of a pipe may never end: its process is ended.
  const timeout = new Promise<BundleAnswer>((resolve) => {
    setTimeout(resolve, request.timeoutMs, { problems: [{ text: late }] }).unref();
  });
  const reply = await Promise.race([bundle(request), timeout]);
  process.stdout.write(`${JSON.stringify(reply)}\n`, () => {
    lines.close();
  });
}

async function bundle({ dir, entry, maxBundleBytes }: BundleRequest): Promise<BundleAnswer> {
  const walls = new PackageWalls(dir);
  try {
    const result = await esbuild.build({
      absWorkingDir: dir,
      entryPoints: [entry.startsWith('./') ? entry : `./${entry}`],
      bundle: true,
      write: false,
      format: 'iife',
      globalName: '__stepwell_plugin',
      platform: 'neutral',
      mainFields: ['module', 'main'],
      conditions: ['import', 'module'],
      // A tsconfig of the package could move imports elsewhere.
      tsconfigRaw: {},
      ...STYLE,
      logOverride: {
        'unsupported-require-call': 'error',
        'unsupported-dynamic-import': 'error',
        'indirect-require': 'error',
      },
      plugins: [onlyWhatAnIsolateHas(walls)],
    });
    // A second pass drops the comments that name each file's path: they say where it was built.
    const { code } = await esbuild.transform(result.outputFiles[0]?.text ?? '', STYLE);
    const bytes = Buffer.byteLength(code);
    if (bytes <= maxBundleBytes) return { code };
    const text = `the bundle has ${String(bytes)} bytes; ${String(maxBundleBytes)} are allowed`;
    return { problems: [{ text }] };
  } catch (error) {
    if (isBuildFailure(error)) return { problems: error.errors.map((one) => walls.show(one)) };
    return { problems: [{ text: 'the bundler gave up' }] };
  }
}

const STYLE = {
  target: 'es2024',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'silent',
} as const;

/**
 * What a package's sources may be made of: files below its own folder, and files of packages that it
 * reaches by name through node_modules. Links count as what they lead to.
 */
class PackageWalls {
  /** Real folders, each with the name to show for it. */
  private readonly roots = new Map<string, string>();
  private readonly loaded = new Set<string>();
  private readonly dir: string;
  private bytes = 0;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Takes a dependency's folder in, when a bare specifier led to this file and rightly so. */
  async enter(specifier: string, file: string): Promise<void> {
    const real = await realpath(file);
    if (this.holds(real)) return;
    const root = installedRoot(real) ?? (await linkedRoot(real, packageName(specifier)));
    // A folder around the package isn't a dependency of it: it holds whatever the package lies in.
    if (root === null || isBelow(this.dir, root)) return;
    this.roots.set(root, packageName(specifier));
  }

  /** Whether a real path is a file that may be read. */
  holds(real: string): boolean {
    if (isBelow(real, this.dir)) return true;
    return [...this.roots.keys()].some(
      (root) => isBelow(real, root) && !relative(root, real).split(sep).includes('node_modules'),
    );
  }

  /** The text of a file, or why there is none. */
  async load(path: string): Promise<OnLoadResult> {
    const real = await realpath(path);
    if (!this.holds(real)) return refusal('it lies outside of the package');
    const name = this.nameOf(real);
    if (/\.(node|wasm)$/.test(real)) {
      return refusal(`${name}: native and WebAssembly code can't run in an isolate`);
    }
    const loader = LOADERS[extname(real)];
    if (loader === undefined) return refusal(`${name}: only JavaScript, TypeScript and JSON`);
    this.loaded.add(relative(this.dir, path));
    if (this.loaded.size > MAX_FILES) return refusal(`more than ${String(MAX_FILES)} source files`);
    // Opening a pipe the usual way waits for someone to write into it.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
    const file = await open(real, flags).catch(() => null);
    if (file === null) return refusal(`${name} can't be read`);
    try {
      const found = await file.stat();
      if (!found.isFile()) return refusal(`${name} isn't a regular file`);
      this.bytes += found.size;
      if (found.size > MAX_FILE_BYTES) return refusal(`${name} is larger than 8 MiB`);
      if (this.bytes > MAX_SOURCE_BYTES) return refusal('the sources are larger than 64 MiB');
      const contents = await file.readFile();
      if (isNestedTooDeep(contents)) {
        return refusal(`${name}: nested deeper than ${String(MAX_NESTING)} brackets`);
      }
      return { contents, loader, resolveDir: dirname(path) };
    } finally {
      await file.close();
    }
  }

  /**
   * An error of the bundler for people. It reads package.json files by itself, through links, too,
   * and quotes what it finds: of files that didn't pass through here, only the place is told.
   */
  show({ text, location, pluginName }: Message): { at?: string; text: string } {
    const plain = text.replaceAll(this.dir + sep, '');
    if (location === null) return { text: plain };
    const at = `${this.nameOf(join(this.dir, location.file))}:${String(location.line)}`;
    const isKnown = pluginName !== '' || this.loaded.has(location.file);
    return { at, text: isKnown ? plain : "the bundler can't read it" };
  }

  private nameOf(real: string): string {
    if (isBelow(real, this.dir)) return relative(this.dir, real);
    for (const [root, name] of this.roots) {
      if (isBelow(real, root)) return join(name, relative(root, real));
    }
    return 'a file outside of the package';
  }
}

/** Refuses at build time, with a name and a line, what would fail inside at run time. */
function onlyWhatAnIsolateHas(walls: PackageWalls): Plugin {
  return {
    name: 'only-what-an-isolate-has',
    setup(build) {
      build.onResolve({ filter: /.*/ }, async (asked) => {
        if (asked.pluginData === ASKED_BY_US) return undefined;
        const problem = await judgeImport(build, asked, walls);
        return problem === null ? undefined : refusal(problem);
      });
      build.onLoad({ filter: /.*/ }, ({ path, namespace }) =>
        namespace === 'file' ? walls.load(path) : refusal('only files make a bundle'),
      );
    },
  };
}

const ASKED_BY_US = Symbol('asked by us');

/** Why an import can't be, or null; the specifier is all that it tells of what lies outside. */
async function judgeImport(
  build: PluginBuild,
  { path, kind, importer, namespace, resolveDir, with: attributes }: OnResolveArgs,
  walls: PackageWalls,
): Promise<string | null> {
  const isBare = kind !== 'entry-point' && /^[^./\\]/.test(path);
  if (isBare && isBuiltin(path)) {
    return `"${path}" is a part of Node.js: it doesn't exist in an isolate`;
  }
  if (isBare && path.includes(':')) return `"${path.slice(0, 100)}" is a URL, not a file`;
  if (isBare && path.split(/[\\/]/).includes('..')) return `"${path}" leads out of its package`;
  const isOdd = Object.entries(attributes).some(([key, value]) => key + value !== 'typejson');
  if (isOdd) return `"${path}": the only import attribute is type "json"`;
  const asked = { kind, importer, namespace, resolveDir, with: attributes };
  const found = await build.resolve(path, { ...asked, pluginData: ASKED_BY_US });
  // The bundler will say so itself, or not mind where the code catches it.
  if (found.errors.length > 0) return null;
  if (found.external || found.namespace !== 'file') return `"${path}" isn't a file to bundle`;
  if (isBare && !path.startsWith('#')) await walls.enter(path, found.path);
  return walls.holds(await realpath(found.path)) ? null : `"${path}" leads out of the package`;
}

/** The folder of a package that a package manager laid down. */
function installedRoot(real: string): string | null {
  return (
    /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/.@][^\\/]*(?=[\\/])/.exec(real)?.[0] ?? null
  );
}

/** The folder that a link in node_modules leads to: its package.json has the name of the link. */
async function linkedRoot(real: string, name: string): Promise<string | null> {
  for (let at = dirname(real); dirname(at) !== at; at = dirname(at)) {
    if ((await readName(join(at, 'package.json'))) === name) return at;
  }
  return null;
}

async function readName(path: string): Promise<unknown> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
  const file = await open(path, flags).catch(() => null);
  if (file === null) return undefined;
  try {
    const found = await file.stat();
    if (!found.isFile() || found.size > MAX_FILE_BYTES) return undefined;
    const value: unknown = JSON.parse(await file.readFile('utf8'));
    return typeof value === 'object' && value !== null && 'name' in value ? value.name : undefined;
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** `@scope/name/sub/path` -> `@scope/name` */
function packageName(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
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

function refusal(text: string): { errors: { text: string }[] } {
  return { errors: [{ text }] };
}

function isBuildFailure(error: unknown): error is esbuild.BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}

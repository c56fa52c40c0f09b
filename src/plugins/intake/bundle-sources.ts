import { spawn } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { extname } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import type { BundleAnswer, BundleRequest } from './bundler.js';
import { IntakeError, refuse } from './intake-error.js';

/** The largest bundle that a host takes: it is compiled anew for every call. */
export const MAX_BUNDLE_BYTES = 3 * 1024 * 1024;

/**
 * Bundles an entry file into one classic script that sets `__stepwell_plugin`. The text depends on
 * the sources and on how node_modules lies around them, never on time or machine. It happens in a
 * process that sees nothing of this one's environment.
 * @param source.dir absolute folder of the package
 * @param source.entry path below it
 * @param source.timeoutMs how long it may take; 60,000 unless told
 * @throws IntakeError `plugin.bundle_refused` with each message of the bundler, or when what the
 *   sources ask for lies outside of the package and what it depends on, or doesn't exist in an
 *   isolate: Node built-ins, native addons, WebAssembly, `require` and `import()` of names that
 *   aren't known before run time
 */
export async function bundleSources(source: {
  dir: string;
  entry: string;
  timeoutMs?: number;
}): Promise<string> {
  const answer = await runBundler({
    dir: await realpath(source.dir),
    entry: source.entry,
    timeoutMs: source.timeoutMs ?? BUILD_TIMEOUT_MS,
    maxBundleBytes: MAX_BUNDLE_BYTES,
  });
  if ('code' in answer) return answer.code;
  const problems = answer.problems.map(({ at, text: said }) => ({
    pointer: '',
    detail: at === undefined ? said : `${at}: ${said}`,
  }));
  throw refuse('plugin.bundle_refused', 'the sources make no bundle', problems);
}

const BUILD_TIMEOUT_MS = 60_000;
/** The bundler keeps its own time; this ends one that no longer can. */
const GRACE_MS = 5_000;

/** In src, in dist and in the CLI's bundle the script lies beside this file and is named alike. */
const BUNDLER = fileURLToPath(
  new URL(`./bundler${extname(new URL(import.meta.url).pathname)}`, import.meta.url),
);

async function runBundler(request: BundleRequest): Promise<BundleAnswer> {
  const child = spawn(process.execPath, [BUNDLER], {
    env: {},
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: request.timeoutMs + GRACE_MS,
    killSignal: 'SIGKILL',
  });
  try {
    const failed = new Promise<never>((_resolve, reject) => {
      child.once('error', reject);
      child.stdin.on('error', reject);
    });
    // Not ended: that would tell the bundler that nobody waits for it.
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const answer = await Promise.race([text(child.stdout), failed]);
    return JSON.parse(answer) as BundleAnswer;
  } catch (error) {
    const problem = { pointer: '', detail: 'the bundler gave up' };
    throw new IntakeError('plugin.bundle_refused', problem.detail, [problem], { cause: error });
  } finally {
    child.stdin.destroy();
  }
}

import { createRequire } from 'node:module';

/** What packing needs and writing a plugin doesn't, so that npm doesn't install it by itself. */
const PEERS = ['esbuild', 'isolated-vm'];

/**
 * Why this CLI can't work where it is installed, as a sentence that says what to do; null when it can.
 * @param from file or URL whose node_modules count
 */
export function findMissingPeers(from: string): string | null {
  const require = createRequire(from);
  const missing = PEERS.filter((name) => !isThere(require, name));
  if (missing.length === 0) return null;
  return `stepwell-plugin needs ${missing.join(' and ')}: run "npm i -D ${PEERS.join(' ')}"`;
}

function isThere(require: NodeJS.Require, name: string): boolean {
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch {
    return false;
  }
}

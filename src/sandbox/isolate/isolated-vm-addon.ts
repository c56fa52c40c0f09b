import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Path of isolated-vm's native addon for this Node. It is found here, in the host, so that the child
 * resolves nothing and may read nothing but that one file.
 * @throws Error when isolated-vm is older than 7.0.1 (GHSA-864f-rcv7-6rh4) or has no binary for this Node.
 */
export function findIsolatedVmAddon(): string {
  const require = createRequire(import.meta.url);
  const directory = dirname(require.resolve('isolated-vm/package.json'));
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    version: string;
  };
  assertSafeIsolatedVm(version);
  const fromThere = createRequire(join(directory, 'package.json'));
  const loader = fromThere('node-gyp-build') as { path(directory: string): string };
  return loader.path(directory);
}

/** @throws Error when plugins could leave their isolate under this version of isolated-vm. */
export function assertSafeIsolatedVm(version: string): void {
  const [major = 0, minor = 0, patch = 0] = version.split('-', 1).join('').split('.').map(Number);
  const isOlder = major !== 7 ? !(major > 7) : minor === 0 && patch < 1;
  if (isOlder || version.startsWith('7.0.1-')) {
    throw new Error(`isolated-vm ${version} does not hold plugins: 7.0.1 or newer is required`);
  }
}

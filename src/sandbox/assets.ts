import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The built files that run outside of the host's own process. */
export interface SandboxAssets {
  /** Script of the sandbox child. */
  childPath: string;
  /** Text that is evaluated inside each isolate before the plugin. */
  kernelPath: string;
}

/**
 * Finds the built assets. From `src/sandbox`, `dist/sandbox` and a folder of the SDK's own `dist`
 * alike they lie in `../../dist/sandbox-assets`.
 * @throws Error when they have not been built.
 */
export function locateSandboxAssets(directory: URL = DEFAULT_DIRECTORY): SandboxAssets {
  const assets = {
    childPath: fileURLToPath(new URL('child.cjs', directory)),
    kernelPath: fileURLToPath(new URL('kernel.js', directory)),
  };
  for (const path of Object.values(assets)) {
    if (!existsSync(path)) {
      throw new Error(`sandbox asset ${path} is missing: run the build (npm run build) first`);
    }
  }
  return assets;
}

const DEFAULT_DIRECTORY = new URL('../../dist/sandbox-assets/', import.meta.url);

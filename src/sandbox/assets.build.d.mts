/** Builds kernel.js and child.cjs into a folder, which is made if it isn't there. */
export function buildSandboxAssets(outDir: string): Promise<void>;

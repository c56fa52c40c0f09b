/** Bundles the thread of the untrusted schema lane into `schema-worker.mjs` in a folder; gives its path. */
export function buildSchemaWorker(outDir: string): Promise<string>;

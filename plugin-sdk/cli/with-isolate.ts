import { fileURLToPath } from 'node:url';

import type { IntakePorts } from '../../src/plugins/intake/intake-ports.js';
import { sandboxPorts } from '../../src/plugins/intake/sandbox-ports.js';
import { IsolateSandbox } from '../../src/sandbox/isolate/isolate-sandbox.js';
import { SchemaValidator } from '../../src/sandbox/schema/schema-validator.js';

/** Runs work with the same sandbox that a host has, and takes it down afterwards. */
export async function withIsolate(work: (ports: IntakePorts) => Promise<void>): Promise<void> {
  const isolate = new IsolateSandbox({
    maxChildren: 1,
    spares: 0,
    assets: { childPath: asset('child.cjs'), kernelPath: asset('kernel.js') },
  });
  const schemas = new SchemaValidator({
    workerFile: asset('schema-worker.mjs'),
    // A laptop that packs is slower than a host that serves, and nobody waits behind it.
    cpuMs: 2_000,
  });
  try {
    await work(sandboxPorts({ isolate, schemas }));
  } finally {
    await Promise.all([isolate.close(), schemas.close()]);
  }
}

/** Built next to the bundle of this CLI. */
function asset(name: string): string {
  return fileURLToPath(new URL(`../sandbox-assets/${name}`, import.meta.url));
}

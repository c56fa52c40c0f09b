import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { DEFAULT_LIMITS } from '../../../dist/sandbox/sandbox.js';

const PLUGINS = join(import.meta.dirname, '..', '..', '..', 'plugins');

/** @returns a function that runs one action of a first-party plugin in a sandbox; what fails throws */
export function callOf(sandbox, { provider, action, input, trust }) {
  const folder = join(PLUGINS, provider, 'dist');
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));
  const bundle = readFileSync(join(folder, 'bundle.js'), 'utf8');
  const { version, tier } = manifest;
  const call = {
    id: 'bench',
    tenantId: 'bench',
    plugin: { id: provider, version, digest: manifest.bundle.digest, tier, trust },
    action: manifest.actions.find(({ id }) => id === action),
    loadBundle: () => Promise.resolve(bundle),
    input,
    credential: null,
    idempotencyKey: 'bench',
    limits: DEFAULT_LIMITS,
  };
  const noHost = { http: () => Promise.reject(new Error('no network here')), log: () => undefined };
  const { signal } = new AbortController();
  return async () => {
    const result = await sandbox.run(call, noHost, signal);
    if (!result.success) throw new Error(`the step failed: ${JSON.stringify(result.error)}`);
  };
}

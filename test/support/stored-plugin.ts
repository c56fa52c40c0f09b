import type { ActionManifest, CredentialManifest, PluginManifest } from '@stepwell/plugin-sdk';
import pg from 'pg';

import { manifestDigest, sha256 } from '../../src/plugins/intake/manifest.js';
import type { TestDatabase } from './test-database.js';

const BUNDLE = '// no code: nothing runs it';

/** Puts a plugin into the catalogue of a database, as if a host had found and verified it. */
export async function storePlugin(
  database: TestDatabase,
  plugin: {
    id: string;
    credentials?: CredentialManifest[];
    actions?: ActionManifest[];
    /** Default: `first_party`, which every tenant may use. */
    origin?: 'first_party' | 'operator';
  },
): Promise<void> {
  const { id, credentials, actions = [], origin = 'first_party' } = plugin;
  const manifest: PluginManifest = {
    manifestVersion: 1,
    id,
    package: `stored-${id}`,
    version: '1.0.0',
    engine: '>=1 <2',
    tier: 'declarative',
    permissions: { hosts: [] },
    limits: {},
    actions,
    ...(credentials === undefined ? {} : { credentials }),
    contracts: {},
    bundle: { digest: sha256(BUNDLE), bytes: BUNDLE.length },
  };
  const app = new pg.Client({ connectionString: database.appUrl });
  await app.connect();
  try {
    await app.query('select register_plugin($1, $2)', [
      JSON.stringify({
        plugin_id: id,
        package: manifest.package,
        origin,
        version: manifest.version,
        digest: manifestDigest(manifest),
        bundle_digest: manifest.bundle.digest,
        manifest,
      }),
      BUNDLE,
    ]);
  } finally {
    await app.end();
  }
}

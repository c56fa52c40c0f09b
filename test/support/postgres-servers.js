// Plain JavaScript on top of the build: jest's globalSetup knows no module mapping.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startEmbeddedPostgres } from '../../dist/database/embedded-postgres.js';
import { findPostgresBinaries } from '../../dist/database/postgres-binaries.js';
import { prepareDatabase } from '../../dist/database/prepare-database.js';

/** The npm packages that bring each version. */
const DISTRIBUTIONS = { 15: 'pg15', 18: 'embedded-postgres' };
const TEMPLATE = 'stepwell_template';
/** The key that all test databases are made with. */
const ROOT_KEY = Buffer.alloc(32, 7);

const running = new Map();

/** Starts a server with a migrated template database, which each test file clones. */
export async function startServer(version) {
  const directory = mkdtempSync(join(tmpdir(), `stepwell-pg${version}-`));
  const server = await startEmbeddedPostgres({
    directory,
    database: TEMPLATE,
    binaries: await findPostgresBinaries(DISTRIBUTIONS[version]),
    // A test database is thrown away, so nothing has to survive a power cut.
    settings: ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off'],
  });
  running.set(version, { server, directory });
  process.env[`TEST_PG${version}_ADMIN_URL`] = server.url;
  process.env[`TEST_PG${version}_APP_URL`] = await prepareDatabase({
    adminUrl: server.url,
    appUrl: null,
    rolePrefix: 'stepwell_',
    rootKey: ROOT_KEY,
  });
}

export async function stopServer(version) {
  const { server, directory } = running.get(version);
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}

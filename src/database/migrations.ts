import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import type { MigrationInterface, QueryRunner } from 'typeorm';

import type { DatabaseRoles } from './roles.js';

const FILE = /^(\d{13})_([a-z0-9_]+)\.up\.sql$/;

/**
 * A TypeORM migration class for each pair `<13 digits>_<name>.{up,down}.sql` of the migrations
 * folder. `:"owner"`, `:"app"` and `:"system"` in the SQL stand for the roles of the installation.
 */
export function loadMigrations(roles: DatabaseRoles): (new () => MigrationInterface)[] {
  const folder = fileURLToPath(new URL('../../migrations/', import.meta.url));
  return readdirSync(folder)
    .map((file) => FILE.exec(file))
    .filter((match) => match !== null)
    .sort((a, b) => a[0].localeCompare(b[0]))
    .map(([file, timestamp = '', name = '']) => {
      const sql = (direction: 'up' | 'down'): string =>
        readFileSync(`${folder}${file.replace('.up.sql', `.${direction}.sql`)}`, 'utf8').replace(
          /:"(owner|app|system)"/g,
          (_, role: keyof DatabaseRoles) => `"${roles[role]}"`,
        );
      return class implements MigrationInterface {
        /** TypeORM reads the time out of the last 13 characters. */
        readonly name = `${name}${timestamp}`;

        async up(runner: QueryRunner): Promise<void> {
          await runner.query(sql('up'));
        }

        async down(runner: QueryRunner): Promise<void> {
          await runner.query(sql('down'));
        }
      };
    });
}

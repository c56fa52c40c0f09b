import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..', '..');

const DIRECT = new Set([
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'PostgreSQL',
]);
const TRANSITIVE = new Set([
  ...DIRECT,
  ...['0BSD', 'CC0-1.0', 'CC-BY-4.0', 'Python-2.0', 'MIT-0', 'Zlib', 'Unlicense', 'WTFPL'],
]);

interface Locked {
  license?: string;
  link?: boolean;
  optional?: boolean;
}

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

const lock = readJson('package-lock.json') as { packages: Record<string, Locked> };
const locked = Object.entries(lock.packages).filter(
  ([path, entry]) => path.includes('node_modules/') && entry.link !== true,
);

describe('licences', () => {
  it('of everything in the lockfile are ones that we may pass on', () => {
    expect(locked.length).toBeGreaterThan(300);
    const refused = locked.filter(
      ([path, entry]) => !isAllowed(licenseOf(path, entry), TRANSITIVE),
    );
    expect(refused.map(([path, entry]) => [path, licenseOf(path, entry)])).toEqual([]);
  });

  it('of direct dependencies are of the shorter list', () => {
    const manifests = [
      'package.json',
      ...Object.keys(lock.packages)
        .filter((path) => path !== '' && !path.includes('node_modules/'))
        .map((path) => `${path}/package.json`),
    ];
    const direct = manifests.flatMap((path) => {
      const { dependencies, devDependencies } = readJson(path) as Manifest;
      return Object.keys({ ...dependencies, ...devDependencies });
    });
    expect(direct.length).toBeGreaterThan(20);
    const refused = direct
      .filter((name) => !name.startsWith('@stepwell/'))
      .map((name): [string, string] => [
        name,
        licenseOf(`node_modules/${name}`, lock.packages[`node_modules/${name}`] ?? {}),
      ])
      .filter(([, license]) => !isAllowed(license, DIRECT));
    expect(refused).toEqual([]);
  });

  it('name no place that packages come from', () => {
    expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.toMatch(
      /"resolved": "https?:/,
    );
  });
});

/** The lockfile's word, or that of the installed package. */
function licenseOf(path: string, entry: Locked): string {
  if (entry.license !== undefined) return entry.license;
  const manifest = join(path, 'package.json');
  if (!existsSync(join(ROOT, manifest))) return 'unknown';
  return (readJson(manifest) as { license?: string }).license ?? 'unknown';
}

/** SPDX expressions of the simple kinds: `A`, `(A OR B)`, `A AND B`. */
function isAllowed(expression: string, allowed: ReadonlySet<string>): boolean {
  const plain = expression.replace(/[()]/g, '');
  if (plain.includes(' OR ')) return plain.split(' OR ').some((one) => allowed.has(one.trim()));
  return plain.split(' AND ').every((one) => allowed.has(one.trim()));
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

import { EXPRESSION_FUNCTIONS } from '../../src/common/expression/functions.js';
import { STEP_ERRORS } from '../../src/common/provider-result.js';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('the docs', () => {
  it('know every function of templates', () => {
    const text = read('docs/templates.md');
    const missing = [...EXPRESSION_FUNCTIONS.values()].filter(
      ({ usage }) => !text.includes(`\`${usage.replaceAll('|', '\\|')}\``),
    );
    expect(missing.map(({ usage }) => usage)).toEqual([]);
  });

  it('know every setting', () => {
    const names = [...read('src/config/config.ts').matchAll(/^ {4}([A-Z][A-Z_]+):/gm)].map(
      ([, name]) => name ?? '',
    );
    expect(names.length).toBeGreaterThan(10);
    const text = read('docs/operations.md');
    expect(names.filter((name) => !text.includes(name))).toEqual([]);
  });

  it('name only step errors that exist', () => {
    const named = [
      ...read('docs/plans.md').matchAll(
        /`((?:plugin|egress|provider|step|input|reference|outcome)\.[a-z_]+)`/g,
      ),
    ].map(([, code]) => code ?? '');
    expect(named.length).toBeGreaterThan(15);
    expect(
      named.filter((code) => !Object.hasOwn(STEP_ERRORS, code) && code !== 'provider.x'),
    ).toEqual([]);
  });

  it('link to files that exist', () => {
    for (const page of [
      'README.md',
      ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
    ]) {
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)#:]+)\)/g)) {
        expect(() => read(join(page, '..', target))).not.toThrow();
      }
    }
  });
});

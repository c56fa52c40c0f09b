import { describe, expect, it } from '@jest/globals';

import type { IsolateSandbox } from '../../sandbox/isolate/isolate-sandbox.js';
import type { SchemaVerdict } from '../../sandbox/schema/schema-validator.js';
import { sandboxPorts } from './sandbox-ports.js';

type Described = Awaited<ReturnType<IsolateSandbox['describe']>>;

const FITS: SchemaVerdict = { ok: true, value: null };

describe('intake over the sandbox', () => {
  it('gives each bundle a child of its own and hands on the description', async () => {
    const owners: string[] = [];
    const ports = ask({ ok: true, description: { id: 'a' } }, FITS, owners);
    await expect(ports.describe('one')).resolves.toEqual({ id: 'a' });
    await ports.describe('two');
    expect(new Set(owners).size).toBe(2);
  });

  it('says why a bundle could not be asked', async () => {
    const error = { code: 'plugin.cpu_exceeded', message: 'too slow', retryable: false } as const;
    const ports = ask({ ok: false, error }, FITS);
    await expect(ports.describe('loop')).rejects.toThrow('too slow (plugin.cpu_exceeded)');
  });

  it('compiles only schemas that keep the rules', async () => {
    const odd: SchemaVerdict = { ok: false, fault: 'schema_invalid', detail: 'odd', errors: [] };
    const ports = ask({ ok: true, description: null }, odd);
    const remote = { $ref: 'https://elsewhere.example/schema.json' };
    const [broken] = await ports.findSchemaProblems(remote);
    expect(broken?.pointer).toBe('/$ref');
    await expect(ports.findSchemaProblems({ type: 'odd' })).resolves.toEqual([
      { pointer: '', detail: 'odd' },
    ]);
  });

  it('has nothing against a schema that refuses the probe', async () => {
    const errors = [{ pointer: '', detail: 'must be an object' }];
    const ports = ask(
      { ok: true, description: null },
      { ok: false, fault: 'value_invalid', errors },
    );
    await expect(ports.findSchemaProblems({ type: 'object' })).resolves.toEqual([]);
  });
});

function ask(
  described: Described,
  verdict: SchemaVerdict,
  owners: string[] = [],
): ReturnType<typeof sandboxPorts> {
  return sandboxPorts({
    isolate: {
      describe({ tenantId }) {
        owners.push(tenantId);
        return Promise.resolve(described);
      },
    },
    schemas: { validate: () => Promise.resolve(verdict) },
  });
}

import { describe, expect, it } from '@jest/globals';

import type { CredentialResolver } from '../credentials/credential-resolver.js';
import { CredentialUnreadableError } from '../egress/credential.js';
import type { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import { DEFAULT_LIMITS } from '../sandbox/sandbox.js';
import type { ActiveUsers } from '../tenancy/active-users.js';
import { StepAccessService, type StepAccess, type StepUse } from './step-access.js';
import type { PreparedStep } from './step-preparer.js';

describe('what a step may use', () => {
  it('has secrets that wait for a database that is away', async () => {
    const gone = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const { openSecrets, failures } = await decide([gone]);
    expect(await openSecrets()).toEqual({ api_key: 'k' });
    expect(failures).toEqual([]);
  });

  it('has none that do not open, however long one waits', async () => {
    const unreadable = new CredentialUnreadableError('it was moved');
    const { openSecrets } = await decide([unreadable]);
    await expect(openSecrets()).rejects.toBe(unreadable);
  });

  it('is nothing for a user who was disabled', async () => {
    const { decided } = await decide([], { isActive: false });
    expect(decided).toMatchObject({ ok: false, result: { error: { code: 'user.disabled' } } });
  });

  it('ends in the middle of an attempt as well', async () => {
    const rules = { isActive: true, isEnabled: true };
    const { assertStillAllowed } = await decide([], rules);
    const { signal } = new AbortController();
    await expect(assertStillAllowed(signal)).resolves.toBeUndefined();
    rules.isEnabled = false;
    await expect(assertStillAllowed(signal)).rejects.toMatchObject({
      code: 'egress.denied',
      message: 'not sent: it is off',
      details: { reason: 'withdrawn', sent: false },
    });
    Object.assign(rules, { isEnabled: true, isActive: false });
    await expect(assertStillAllowed(signal)).rejects.toMatchObject({ code: 'egress.denied' });
  });
});

/** @param failures of the vault, one for each time that it is asked, before it answers */
async function decide(
  failures: Error[],
  rules: { isActive: boolean; isEnabled?: boolean } = { isActive: true },
): Promise<{
  decided: StepAccess;
  openSecrets: () => Promise<Readonly<Record<string, string>>>;
  assertStillAllowed: (signal: AbortSignal) => Promise<void>;
  failures: Error[];
}> {
  const egress = {
    hosts: ['api.example.com'],
    inject: {},
    fields: {},
    openSecrets: () => {
      const failure = failures.shift();
      return failure ? Promise.reject(failure) : Promise.resolve({ api_key: 'k' });
    },
  };
  const credential = { id: 'c1', name: 'default', scope: 'user', fields: {}, egress };
  const access = new StepAccessService(
    {
      accessOf: () =>
        Promise.resolve(
          rules.isEnabled === false
            ? { usable: false, code: 'plugin.not_enabled', reason: 'it is off' }
            : { usable: true, allowedActions: null, hostCaps: [] },
        ),
    } as unknown as PluginCatalogue,
    {
      resolve: () => Promise.resolve({ kind: 'found', credential }),
    } as unknown as CredentialResolver,
    { isActive: () => Promise.resolve(rules.isActive) } as unknown as ActiveUsers,
  );
  const manifest = { id: 'acme', permissions: { hosts: [] }, credentials: [{ id: 'api' }] };
  const prepared = {
    step: { id: 'ask', credential: null },
    entry: { manifest },
    action: { id: 'ask', credential: 'api' },
    input: {},
  } as unknown as PreparedStep;
  const lease = { tenantId: 't', executionId: 'e', ownerId: 'u', hostId: 'h', epoch: 1 };
  const decided = await access.decide(prepared, {
    lease,
    tenantName: 't',
    limits: DEFAULT_LIMITS,
    signal: new AbortController().signal,
  });
  const use = (): StepUse => {
    if (decided.ok) return decided.use;
    throw new Error(JSON.stringify(decided));
  };
  return {
    decided,
    openSecrets: async () => (await use().grant.credential?.openSecrets()) ?? {},
    assertStillAllowed: (signal) => use().assertStillAllowed(signal),
    failures,
  };
}

import { describe, expect, it } from '@jest/globals';

import type { JsonValue } from '../common/json.js';
import { stepFailed, stepSucceeded, type ProviderResult } from '../common/provider-result.js';
import type { EgressGateway } from '../egress/gateway.js';
import { Redactor } from '../egress/redaction.js';
import type { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import type { HostCalls, StepCall } from '../sandbox/sandbox.js';
import type { TieredSandbox } from '../sandbox/tiered-sandbox.js';
import type { SchemaChecks } from './schema-checks.js';
import type { StepAccessService } from './step-access.js';
import type { PreparedStep } from './step-preparer.js';
import { StepRunner } from './step-runner.js';

const CREDENTIAL_ID = '01890a5d-ac96-774b-bcce-b302099a8057';

describe('the idempotency key of a step', () => {
  it('is the same for each attempt, and another one for each item of a for_each', async () => {
    const keys: string[] = [];
    const hear = ({ idempotencyKey }: StepCall): void => void keys.push(idempotencyKey);
    await run({ keys: [] }, { hear });
    await run({ keys: [] }, { hear, attempt: 2 });
    await run({ keys: [] }, { hear, iteration: 3 });
    expect(keys).toEqual(['e:ask:0', 'e:ask:0', 'e:ask:3']);
  });
});

describe('a step with parameters that are secret', () => {
  it('is not run with more of them than can be looked for', async () => {
    const keys = Array.from({ length: 50_000 }, (_, i) => `key-${String(i)}`);
    expect(await run({ keys })).toMatchObject({
      success: false,
      error: { code: 'input.invalid', message: expect.stringContaining('100 values') },
    });
  });

  it('shows them in nothing that comes of it', async () => {
    const result = await run({ keys: ['key-1234', 90210] });
    expect(result.output).toEqual({ echo: '[redacted] [redacted] [redacted]' });
  });

  it('tells what the host itself knows of it, whatever is secret', async () => {
    const { metadata } = await run({ keys: [CREDENTIAL_ID, 'acme', 'key-1234'] });
    expect(metadata).toMatchObject({
      credential_id: CREDENTIAL_ID,
      provider: 'acme',
      logs: [{ level: 'info', message: '[redacted]' }],
    });
  });

  it('tells why it may not run, without them', async () => {
    const refusal = stepFailed('plugin.not_enabled', 'no key-1234');
    const { error } = await run({ keys: ['key-1234'] }, { refusal });
    expect(error).toMatchObject({ code: 'plugin.not_enabled', message: 'no [redacted]' });
  });
});

/** A plugin that says all that it is given, and uses a credential that holds another secret. */
async function run(
  input: { keys: JsonValue[] },
  more: {
    refusal?: ProviderResult;
    hear?: (call: StepCall) => void;
    attempt?: number;
    iteration?: number;
  } = {},
): Promise<ProviderResult> {
  const { refusal, attempt = 1, iteration = 0 } = more;
  const session = {
    wasOpened: true,
    credentialFailure: null,
    redactor: new Redactor(['the-secret']),
  };
  const credential = { id: CREDENTIAL_ID, fields: {} };
  const runner = new StepRunner(
    {} as PluginCatalogue,
    {
      run: (call: StepCall, host: HostCalls) => {
        more.hear?.(call);
        host.log({ level: 'info', message: 'key-1234' });
        return Promise.resolve(stepSucceeded({ echo: 'key-1234 90210 the-secret' }));
      },
    } as unknown as TieredSandbox,
    { session: () => session } as unknown as EgressGateway,
    {
      decide: () =>
        Promise.resolve(
          refusal ? { ok: false, result: refusal } : { ok: true, use: { credential, grant: {} } },
        ),
    } as unknown as StepAccessService,
    { check: () => Promise.resolve({ ok: true }) } as unknown as SchemaChecks,
  );
  const prepared = {
    step: { id: 'ask', provider: 'acme', timeoutMs: null },
    entry: { manifest: { version: '1.0.0', limits: {}, bundle: { digest: 'sha256-0' } } },
    action: { id: 'ask', input: { properties: { keys: { 'x-stepwell-secret': true } } } },
    input,
  } as unknown as PreparedStep;
  const lease = { tenantId: 't', executionId: 'e', ownerId: 'u', hostId: 'h', epoch: 1 };
  return await runner.run(prepared, {
    ...{ lease, tenantName: 't', iteration, attempt, calls: null, isReplay: false },
    signal: new AbortController().signal,
  });
}

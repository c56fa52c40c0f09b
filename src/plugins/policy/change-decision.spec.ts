import { describe, expect, it } from '@jest/globals';

import {
  changeDecision,
  offeredVersion,
  type ChangeOutcome,
  type DecisionChange,
  type Versions,
} from './change-decision.js';
import type { JudgedPlugin, TenantRules } from './decide.js';
import { OPEN_POLICY } from './operator-policy.js';
import { aVersion, someRules } from './plugin-versions.fake.js';

const V1 = aVersion({ hosts: ['a.example'] });
const V2 = aVersion({ version: '2.0.0', hosts: ['a.example', 'b.example'] });
const WIDE = aVersion({ version: '2.0.0', hosts: ['a.example', '*'] });
const AGREED_V1 = { enabled: true, consented: { hosts: ['a.example'], tier: 'isolate' as const } };

describe('changeDecision', () => {
  it('takes turning on as consent to hosts with a name', () => {
    expect(change([V1], someRules(), { enabled: true })).toEqual({
      kind: 'changed',
      decision: { ...AGREED_V1, allowedActions: null, hostCap: null },
    });
  });

  it.each([
    ['any host', aVersion({ hosts: ['a.example', '*'] }), [{ host: 'a.example' }, { host: '*' }]],
    [
      'hosts out of the input',
      aVersion({ hosts: [{ fromInput: 'url' }] }),
      [{ host: { fromInput: 'url' } }],
    ],
    ['the worker tier', aVersion({ tier: 'worker' }), [{ tier: 'worker' }]],
  ])('asks before it turns on what wants %s', (_, version, missing) => {
    expect(change([version], someRules(), { enabled: true })).toEqual({
      kind: 'consent_required',
      version: '1.0.0',
      missing,
    });
    expect(change([version], someRules(), { enabled: true, consent: false }).kind).toBe(
      'consent_required',
    );
    expect(change([version], someRules(), { enabled: true, consent: true })).toMatchObject({
      kind: 'changed',
      decision: { enabled: true, consented: { hosts: version.manifest.permissions.hosts } },
    });
    // Turned off and on again, it asks nothing that was answered.
    const consented = { hosts: version.manifest.permissions.hosts, tier: version.manifest.tier };
    expect(change([version], someRules({}, { consented }), { enabled: true }).kind).toBe('changed');
  });

  it('agrees to a tier, too, so that one with more power is asked about later', () => {
    const declarative = aVersion({ tier: 'declarative' });
    const on = change([declarative], someRules(), { enabled: true });
    expect(on).toMatchObject({
      decision: { enabled: true, consented: { hosts: [], tier: 'declarative' } },
    });
  });

  it('takes no wider version on by saying "on" of what is on', () => {
    const rules = someRules({}, AGREED_V1);
    const quiet = change([V2, V1], rules, { enabled: true });
    expect(quiet).toMatchObject({ kind: 'changed', decision: AGREED_V1 });
    expect(change([V2], rules, { enabled: true })).toEqual({
      kind: 'consent_required',
      version: '2.0.0',
      missing: [{ host: 'b.example' }],
    });
    expect(change([V2, V1], rules, { consent: true })).toMatchObject({
      decision: { enabled: true, consented: { hosts: ['a.example', 'b.example'] } },
    });
  });

  it('keeps what older versions may do when a newer one is agreed to', () => {
    const narrower = aVersion({ version: '3.0.0', hosts: ['c.example'] });
    expect(
      change([narrower, V1], someRules({}, AGREED_V1), { enabled: true, consent: true }),
    ).toMatchObject({ decision: { consented: { hosts: ['a.example', 'c.example'] } } });
  });

  it('changes what is given and leaves the rest', () => {
    const before = { ...AGREED_V1, allowedActions: ['x'], hostCap: ['a.example'] };
    const rules = someRules({}, before);
    expect(change([V1], rules, {})).toEqual({ kind: 'changed', decision: before });
    expect(change([V1], rules, { allowedActions: null })).toEqual({
      kind: 'changed',
      decision: { ...before, allowedActions: null },
    });
    expect(change([V1], rules, { hostCap: [] })).toMatchObject({ decision: { hostCap: [] } });
    expect(change([V1], rules, { enabled: false })).toMatchObject({
      decision: { ...before, enabled: false },
    });
  });

  it('agrees to nothing when no more than limits are set', () => {
    expect(change([V1], someRules(), { hostCap: ['a.example'] })).toMatchObject({
      decision: { enabled: false, consented: null },
    });
  });

  it("doesn't turn on what the operator doesn't permit, but lets it be turned off and limited", () => {
    const rules = someRules({ exclude: ['weather'] }, AGREED_V1);
    expect(change([V1], rules, { enabled: true, consent: true })).toEqual({
      kind: 'not_permitted',
      reason: expect.stringMatching(/operator excludes/),
    });
    expect(change([V1], rules, { enabled: false }).kind).toBe('changed');
    expect(change([V1], rules, { hostCap: [] }).kind).toBe('changed');
  });

  it('offers the newest version that the operator permits', () => {
    const worker = aVersion({ version: '2.0.0', tier: 'worker' });
    expect(offeredVersion([worker, V1], OPEN_POLICY)).toBe(worker);
    expect(offeredVersion([worker, V1], { ...OPEN_POLICY, tierCap: 'isolate' })).toBe(V1);
    expect(offeredVersion([worker, V1], { ...OPEN_POLICY, exclude: ['weather'] })).toBe(worker);
    expect(
      change([worker, V1], someRules({ tierCap: 'isolate' }), { enabled: true }),
    ).toMatchObject({ decision: { consented: { tier: 'isolate' } } });
  });

  it('asks nothing about first-party plugins', () => {
    const own: JudgedPlugin = { ...WIDE, origin: 'first_party' };
    expect(change([own], someRules({}, { enabled: false }), { enabled: true })).toMatchObject({
      kind: 'changed',
      decision: { enabled: true, consented: null },
    });
  });
});

function change(
  versions: Versions,
  rules: TenantRules,
  given: Partial<DecisionChange>,
): ChangeOutcome {
  return changeDecision(versions, rules, {
    enabled: undefined,
    allowedActions: undefined,
    hostCap: undefined,
    consent: undefined,
    ...given,
  });
}

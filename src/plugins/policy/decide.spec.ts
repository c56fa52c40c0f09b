import { describe, expect, it } from '@jest/globals';

import { decideAccess, decideAction, type TenantRules } from './decide.js';
import { aVersion, someRules } from './plugin-versions.fake.js';

const ON = { enabled: true };

describe('decideAccess', () => {
  it('starts with first-party plugins, and with nothing else', () => {
    const free = { usable: true, allowedActions: null, hostCaps: [] };
    expect(decideAccess(aVersion({ origin: 'first_party' }), someRules())).toEqual(free);
    expect(decideAccess(aVersion(), someRules())).toEqual({
      usable: false,
      code: 'plugin.not_enabled',
      reason: expect.stringMatching(/tenant admin enables it with PUT \/api\/plugins\/weather/),
    });
    expect(decideAccess(aVersion(), someRules({}, ON))).toEqual(free);
  });

  it('lets a tenant turn a first-party plugin off', () => {
    expect(
      decideAccess(aVersion({ origin: 'first_party' }), someRules({}, { enabled: false })),
    ).toMatchObject({ usable: false, code: 'plugin.not_enabled' });
  });

  it.each<[string, TenantRules, RegExp | null]>([
    ['excluded', someRules({ exclude: ['weather'] }, ON), /operator excludes "weather"/],
    [
      'included and excluded',
      someRules({ include: ['weather'], exclude: ['weather'] }, ON),
      /operator excludes/,
    ],
    ['another excluded', someRules({ exclude: ['http'] }, ON), null],
    ['none but the included', someRules({ default: 'exclude' }, ON), /has not included "weather"/],
    ['included', someRules({ default: 'exclude', include: ['weather'] }, ON), null],
    [
      'another included, which says nothing by default',
      someRules({ default: 'include', include: ['http'] }, ON),
      null,
    ],
    [
      'of a tier above the cap',
      someRules({ tierCap: 'declarative' }, ON),
      /tier "isolate".* up to "declarative"/,
    ],
    ['of the tier of the cap', someRules({ tierCap: 'isolate' }, ON), null],
    [
      'included, but above the cap',
      someRules({ default: 'exclude', include: ['weather'], tierCap: 'declarative' }, ON),
      /tier "isolate"/,
    ],
  ])("follows the operator's policy: %s", (_, rules, reason) => {
    for (const origin of ['operator', 'first_party'] as const) {
      const access = decideAccess(aVersion({ origin }), rules);
      if (reason === null) expect(access.usable).toBe(true);
      else {
        expect(access).toMatchObject({ usable: false, code: 'plugin.not_permitted' });
        expect(access).toMatchObject({ reason: expect.stringMatching(reason) });
        expect(access).toMatchObject({ reason: expect.stringMatching(/operator changes that/) });
      }
    }
  });

  it('names the operator first: enabling would be no use', () => {
    expect(decideAccess(aVersion(), someRules({ exclude: ['weather'] }))).toMatchObject({
      code: 'plugin.not_permitted',
    });
  });

  it('waits for consent to what a version adds, and judges each version by itself', () => {
    const rules = someRules(
      {},
      { enabled: true, consented: { hosts: ['a.example'], tier: 'isolate' } },
    );
    expect(decideAccess(aVersion({ hosts: ['a.example'] }), rules).usable).toBe(true);
    expect(
      decideAccess(aVersion({ version: '2.0.0', hosts: ['a.example', 'b.example'] }), rules),
    ).toEqual({
      usable: false,
      code: 'plugin.not_enabled',
      reason: expect.stringMatching(/weather 2\.0\.0 asks for more .*: b\.example; .*"consent"/),
    });
    expect(decideAccess(aVersion({ tier: 'worker' }), rules)).toMatchObject({
      usable: false,
      reason: expect.stringMatching(/the tier "worker"/),
    });
  });

  it("doesn't ask about first-party plugins", () => {
    const plugin = aVersion({ hosts: ['*'], origin: 'first_party' });
    expect(decideAccess(plugin, someRules()).usable).toBe(true);
    expect(decideAccess({ ...plugin, origin: 'operator' }, someRules({}, ON)).usable).toBe(false);
  });

  it('gives every cap there is, the empty one too', () => {
    const caps = (operator: string[] | null, tenant: string[] | null): unknown =>
      decideAccess(aVersion(), someRules({ hostCap: operator }, { ...ON, hostCap: tenant }));
    expect(caps(null, null)).toMatchObject({ hostCaps: [] });
    expect(caps(['*.a.example'], null)).toMatchObject({ hostCaps: [['*.a.example']] });
    expect(caps(null, [])).toMatchObject({ hostCaps: [[]] });
    expect(caps(['a.example'], ['b.example'])).toMatchObject({
      hostCaps: [['a.example'], ['b.example']],
    });
  });
});

describe('decideAction', () => {
  it('allows every action until the tenant names some', () => {
    expect(decideAction(aVersion(), 'forecast', someRules({}, ON)).usable).toBe(true);
    const some = someRules({}, { ...ON, allowedActions: ['current'] });
    expect(decideAction(aVersion(), 'current', some).usable).toBe(true);
    expect(decideAction(aVersion(), 'forecast', some)).toEqual({
      usable: false,
      code: 'plugin.not_permitted',
      reason: expect.stringMatching(/action "forecast".*tenant admin.*allowed_actions/),
    });
    const none = someRules({}, { ...ON, allowedActions: [] });
    expect(decideAction(aVersion(), 'current', none).usable).toBe(false);
  });

  it('asks the plugin first', () => {
    const off = someRules({}, { enabled: false, allowedActions: ['current'] });
    expect(decideAction(aVersion(), 'current', off)).toMatchObject({ code: 'plugin.not_enabled' });
  });
});

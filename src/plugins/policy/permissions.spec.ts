import { describe, expect, it } from '@jest/globals';
import type { CredentialManifest, HostPermission, PluginManifest } from '@stepwell/plugin-sdk';

import {
  joinPermissions,
  missingPermissions,
  needsExplicitConsent,
  permissionsOf,
  type Permissions,
} from './permissions.js';

const isolate = (...hosts: HostPermission[]): Permissions => ({ hosts, tier: 'isolate' });

describe('missingPermissions', () => {
  it.each<[HostPermission[], HostPermission[], HostPermission[]]>([
    [['a.example'], ['a.example'], []],
    [['a.example'], ['b.example'], ['a.example']],
    [['a.example'], ['*.example'], []],
    [['*.a.example'], ['*.example'], []],
    [['example'], ['*.example'], ['example']],
    [['evila.example'], ['*.a.example'], ['evila.example']],
    [['*.example'], ['a.example'], ['*.example']],
    [['*'], ['*.example'], ['*']],
    [['a.example', '*.example', { fromInput: 'url' }], ['*'], []],
    [['*'], ['*'], []],
    [[{ fromInput: 'url' }], [{ fromInput: 'url' }], []],
    [[{ fromInput: 'to' }], [{ fromInput: 'url' }], [{ fromInput: 'to' }]],
    [[{ fromInput: 'url' }], [{ fromCredential: 'url' }], [{ fromInput: 'url' }]],
    [[{ fromCredential: 'url' }], ['*'], [{ fromCredential: 'url' }]],
    [[], [], []],
  ])('of %j, when %j was agreed to: %j', (asked, agreed, missing) => {
    expect(missingPermissions(isolate(...asked), isolate(...agreed))).toEqual(
      missing.map((host) => ({ host })),
    );
  });

  it('counts everything as missing while nothing was agreed to; the isolate itself is no permission', () => {
    expect(missingPermissions(isolate('a.example'), null)).toEqual([{ host: 'a.example' }]);
    expect(missingPermissions({ hosts: [], tier: 'worker' }, null)).toEqual([{ tier: 'worker' }]);
    expect(missingPermissions(isolate(), null)).toEqual([]);
  });

  it('counts a tier with more power', () => {
    expect(missingPermissions(isolate(), { hosts: [], tier: 'declarative' })).toEqual([
      { tier: 'isolate' },
    ]);
    expect(missingPermissions({ hosts: [], tier: 'declarative' }, isolate())).toEqual([]);
  });
});

describe('joinPermissions', () => {
  it('keeps what older versions need', () => {
    expect(joinPermissions(null, isolate('a.example'))).toEqual(isolate('a.example'));
    expect(
      joinPermissions(isolate('a.example', { fromInput: 'url' }), {
        hosts: [{ fromInput: 'url' }, 'b.example'],
        tier: 'worker',
      }),
    ).toEqual({ hosts: ['a.example', { fromInput: 'url' }, 'b.example'], tier: 'worker' });
    expect(joinPermissions(isolate(), { hosts: [], tier: 'declarative' }).tier).toBe('isolate');
  });
});

describe('needsExplicitConsent', () => {
  it.each([
    [{ host: 'a.example' }, false],
    [{ host: '*.a.example' }, false],
    [{ host: { fromCredential: 'base_url' } }, false],
    [{ tier: 'isolate' as const }, false],
    [{ host: '*' }, true],
    [{ host: { fromInput: 'url' } }, true],
    [{ tier: 'worker' as const }, true],
  ])('%j: %s', (permission, expected) => {
    expect(needsExplicitConsent(permission)).toBe(expected);
  });
});

describe('the place of secrets', () => {
  const uses = (...digests: string[]): Permissions => ({
    ...isolate(),
    credentials: { token: digests },
  });
  const type = (header: string): CredentialManifest => ({
    id: 'token',
    kind: 'bearer',
    fields: [{ name: 'token', secret: true, required: true }],
    hosts: ['a.example'],
    inject: { headers: { [header]: '{{secret.token}}' } },
  });
  const version = (header: string): PluginManifest =>
    ({ tier: 'isolate', permissions: { hosts: [] }, credentials: [type(header)] }) as never;

  it('is agreed to as it was: a version that moves them asks anew', () => {
    const [one, same, other] = ['authorization', 'authorization', 'x-note'].map((header) =>
      permissionsOf(version(header)),
    );
    expect(missingPermissions(same!, one!)).toEqual([]);
    const missing = missingPermissions(other!, one!);
    expect(missing).toEqual([{ credential: 'token' }]);
    expect(missing.map(needsExplicitConsent)).toEqual([false]);
    const both = joinPermissions(one!, other!);
    expect([missingPermissions(one!, both), missingPermissions(other!, both)]).toEqual([[], []]);
  });

  it('is asked for a type that comes later as well, and not for one that goes', () => {
    expect(missingPermissions(uses('x'), isolate())).toEqual([{ credential: 'token' }]);
    expect(missingPermissions(isolate(), uses('x'))).toEqual([]);
  });
});

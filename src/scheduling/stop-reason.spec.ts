import { describe, expect, it } from '@jest/globals';

import { findStopReason, type RunFacts } from './stop-reason.js';

const ME = 'me';
const OTHER = 'other';

describe('a schedule', () => {
  it.each<[string, (facts: Facts) => void]>([
    ['its owner enabled', () => undefined],
    [
      'its owner edited since',
      ({ version }) => {
        version.number = 2;
      },
    ],
    [
      'an admin edited since',
      ({ version }) => {
        Object.assign(version, { number: 2, authorId: OTHER, authorIsAdmin: true });
      },
    ],
    [
      'somebody else wrote before it was enabled',
      ({ version }) => {
        version.authorId = OTHER;
      },
    ],
    [
      'an admin enabled on a private plan',
      ({ owner, plan }) => {
        owner.role = 'admin';
        plan.ownerId = OTHER;
      },
    ],
    [
      'a member once enabled on what is shared',
      ({ plan }) => {
        plan.ownerId = OTHER;
        plan.visibility = 'tenant';
      },
    ],
  ])('runs what %s', (_, change) => {
    expect(findStopReason(factsWith(change))).toBeNull();
  });

  it.each<[string, (facts: Facts) => void]>([
    [
      'plan.deleted',
      ({ plan }) => {
        plan.deletedAt = new Date();
      },
    ],
    [
      'owner.disabled',
      ({ owner }) => {
        owner.disabledAt = new Date();
      },
    ],
    [
      'owner.not_permitted',
      ({ owner }) => {
        owner.role = 'viewer';
      },
    ],
    [
      'plan.not_visible',
      ({ plan }) => {
        plan.ownerId = OTHER;
      },
    ],
    [
      'plan.changed_by_other',
      ({ version }) => {
        Object.assign(version, { number: 2, authorId: OTHER });
      },
    ],
  ])('stops with %s', (code, change) => {
    expect(findStopReason(factsWith(change))).toMatchObject({ code });
  });

  it('stops when its run-as user is shown no plan at all', () => {
    const facts = factsWith(() => undefined);
    expect(findStopReason({ ...facts, plan: null, version: null })?.code).toBe('plan.not_visible');
  });
});

interface Facts extends RunFacts {
  plan: NonNullable<RunFacts['plan']>;
  version: NonNullable<RunFacts['version']>;
}

function factsWith(change: (facts: Facts) => void): Facts {
  const facts: Facts = {
    enabled: { ownerId: ME, planVersion: 1 },
    owner: { role: 'user', isOperator: false, disabledAt: null },
    plan: { ownerId: ME, visibility: 'private', deletedAt: null },
    version: { number: 1, authorId: ME, authorIsAdmin: false },
  };
  change(facts);
  return facts;
}

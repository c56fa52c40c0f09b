import { describe, expect, it } from '@jest/globals';

import { findObstacle } from './find-obstacle.js';

type Facts = Parameters<typeof findObstacle>[0];

const OWNER: Facts['owner'] = {
  id: 'ada',
  externalId: 'ada',
  role: 'user',
  isOperator: false,
  isDisabled: false,
};
const PLAN: Facts['plan'] = { id: 'p', ownerId: 'ada', visibility: 'private', isDeleted: false };
const VERSION: Facts['version'] = { number: 1, authorId: 'ada', authorIsAdmin: false };
const FACTS: Facts = { owner: OWNER, plan: PLAN, version: VERSION, enabledVersion: 1 };

function codeOf(change: Partial<Facts>): string | null {
  return findObstacle({ ...FACTS, ...change })?.code ?? null;
}

describe('what stands in the way of a webhook', () => {
  it('is nothing while its user may run the plan', () => {
    const admin = { ...OWNER, id: 'eve', role: 'admin' as const };
    expect(codeOf({})).toBeNull();
    expect(codeOf({ owner: admin })).toBeNull();
    expect(
      codeOf({ owner: { ...OWNER, id: 'bob' }, plan: { ...PLAN, visibility: 'tenant' } }),
    ).toBeNull();
  });

  it('is the end of the plan, or of what its user may do', () => {
    expect(codeOf({ plan: { ...PLAN, isDeleted: true } })).toBe('plan.deleted');
    expect(codeOf({ owner: { ...OWNER, isDisabled: true } })).toBe('owner.disabled');
    expect(codeOf({ owner: { ...OWNER, role: 'viewer' } })).toBe('owner.not_permitted');
    expect(codeOf({ owner: { ...OWNER, id: 'bob' } })).toBe('plan.not_visible');
  });

  it('is a later version that neither its user nor an admin wrote', () => {
    const later = { number: 2, authorId: 'mallory', authorIsAdmin: false };
    expect(codeOf({ version: later })).toBe('plan.changed_by_other');
    expect(codeOf({ version: { ...later, authorIsAdmin: true } })).toBeNull();
    expect(codeOf({ version: { ...later, authorId: 'ada' } })).toBeNull();
    expect(codeOf({ version: later, enabledVersion: 2 })).toBeNull();
  });
});

import { describe, expect, it } from '@jest/globals';

import { demandsOf } from './demands.js';

describe('what a run counts against', () => {
  it('is its tenant, its plan, and each provider and credential that its steps name', () => {
    const step = { id: 's', action: 'a', params: {} };
    expect(
      demandsOf({
        planId: 'p',
        definition: {
          steps: [
            { ...step, provider: 'slack', credential: 'team' },
            { ...step, provider: 'slack' },
            { ...step, provider: 'http', credential: 'team' },
          ],
        },
      }),
    ).toEqual(['tenant:all', 'plan:p', 'provider:slack', 'credential:team', 'provider:http']);
    expect(demandsOf({ planId: null, definition: { steps: [] } })).toEqual(['tenant:all']);
  });
});

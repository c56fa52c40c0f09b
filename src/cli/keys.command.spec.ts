import { describe, expect, it } from '@jest/globals';

import { formatKeys } from './keys.command.js';

describe('formatKeys', () => {
  it('shows versions in columns and marks the current ones', () => {
    const key = {
      tenant_id: 't',
      root_key_id: 'local-0123',
      created_at: '2026-11-20T12:00:00.000Z',
    };
    const keys = [
      { ...key, tenant_name: 'default', version: 12, is_current: true, credentials: 3 },
      { ...key, tenant_name: 'b', version: 1, is_current: false, credentials: 100 },
    ];
    expect(formatKeys(keys).split('\n')).toEqual([
      'TENANT   VERSION  ROOT KEY    MADE                 CREDENTIALS',
      'default  12       local-0123  2026-11-20 12:00:00  3            current',
      'b        1        local-0123  2026-11-20 12:00:00  100',
      '',
    ]);
  });

  it('says so when there are none', () => {
    expect(formatKeys([])).toContain('no keys');
  });
});

import { existsSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import { assertSafeIsolatedVm, findIsolatedVmAddon } from './isolated-vm-addon.js';

describe('E04 isolated-vm', () => {
  it.each(['7.0.0', '6.1.2', '5.0.4', '7.0.1-rc.1', 'garbage'])('refuses %s', (version) => {
    expect(() => {
      assertSafeIsolatedVm(version);
    }).toThrow(/7\.0\.1 or newer/);
  });

  it.each(['7.0.1', '7.0.2', '7.1.0', '8.0.0', '10.0.0'])('takes %s', (version) => {
    expect(() => {
      assertSafeIsolatedVm(version);
    }).not.toThrow();
  });

  it('finds the addon of the installed one', () => {
    expect(existsSync(findIsolatedVmAddon())).toBe(true);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { act, SandboxHarness } from './isolate-sandbox.harness.js';
import type { IsolateSandbox } from './isolate-sandbox.js';

describe('the readable fields of a credential in an isolate', () => {
  let harness: SandboxHarness;
  let sandbox: IsolateSandbox;

  beforeAll(async () => {
    harness = await SandboxHarness.create();
    sandbox = harness.sandbox();
  });

  afterAll(() => harness.close());

  it('are there by name, and null without a credential', async () => {
    const credential = { base_url: 'https://api.example/ü"\u2028', account: '' };
    expect((await act(sandbox, 'return k.credential', { credential })).output).toEqual(credential);
    expect((await act(sandbox, 'return [k.credential]')).output).toEqual([null]);
  });

  it("belong to the guest's own realm, and nobody changes them", async () => {
    const body = `
      'use strict';
      const { credential } = k;
      let refused = 0;
      for (const change of [() => { credential.base_url = 'x'; }, () => { credential.more = 'x'; }]) {
        try { change(); } catch (error) { if (error instanceof TypeError) refused++; }
      }
      return {
        refused,
        frozen: Object.isFrozen(credential),
        own: Object.getPrototypeOf(credential) === Object.prototype,
        escaped: credential.constructor.constructor('return typeof process')(),
      };`;
    const credential = { base_url: 'https://api.example' };
    expect((await act(sandbox, body, { credential })).output).toEqual({
      refused: 2,
      frozen: true,
      own: true,
      escaped: 'undefined',
    });
  });

  it('reach no prototype, whatever a field is called', async () => {
    const credential = JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string>;
    const body = `return [Object.keys(k.credential), Object.getPrototypeOf(k.credential) === Object.prototype]`;
    const { output } = await act(sandbox, body, { credential });
    expect(output).toEqual([['__proto__', 'constructor'], true]);
  });

  it('are refused when they would not fit into a frame, and take what fits', async () => {
    const fields = (count: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: count }, (_, i) => [`f${String(i)}`, 'x'.repeat(16_384)]),
      );
    const body = 'return Object.values(k.credential).join("").length';
    const fits = await act(sandbox, body, { credential: fields(15) });
    expect(fits.output).toBe(15 * 16_384);
    const { error } = await act(sandbox, body, { credential: fields(16) });
    expect(error).toMatchObject({
      code: 'input.invalid',
      message: expect.stringMatching(/credential are over 262144 bytes/),
    });
  });
});

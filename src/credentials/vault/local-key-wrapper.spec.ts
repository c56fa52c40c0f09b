import { randomBytes } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';

import { CredentialUnreadableError } from '../../egress/credential.js';
import { LocalKeyWrapper } from './local-key-wrapper.js';

const ROOT_KEY = randomBytes(32);
const CONTEXT = { tenantId: 't1', version: 1 };

describe('LocalKeyWrapper', () => {
  const wrapper = new LocalKeyWrapper(ROOT_KEY);

  it('unwraps what it wrapped, also after a restart', async () => {
    const dataKey = randomBytes(32);
    const wrapped = await wrapper.wrap(dataKey, CONTEXT);
    expect(wrapped.wrappedKey.includes(dataKey)).toBe(false);
    expect(await new LocalKeyWrapper(ROOT_KEY).unwrap(wrapped, CONTEXT)).toEqual(dataKey);
  });

  it.each([
    ['another tenant', { tenantId: 't2', version: 1 }],
    ['another version', { tenantId: 't1', version: 2 }],
  ])('unwraps nothing for %s', async (_, context) => {
    const wrapped = await wrapper.wrap(randomBytes(32), CONTEXT);
    await expect(wrapper.unwrap(wrapped, context)).rejects.toThrow(CredentialUnreadableError);
  });

  it('names its root key without giving any of it away', async () => {
    const { rootKeyId } = await wrapper.wrap(randomBytes(32), CONTEXT);
    expect(rootKeyId).toMatch(/^local-[0-9a-f]{16}$/);
    expect(ROOT_KEY.toString('hex')).not.toContain(rootKeyId.slice('local-'.length));
  });

  it('says which root key is missing', async () => {
    const other = new LocalKeyWrapper(randomBytes(32));
    const wrapped = await other.wrap(randomBytes(32), CONTEXT);
    await expect(wrapper.unwrap(wrapped, CONTEXT)).rejects.toThrow(
      `the tenant's key is under the root key ${wrapped.rootKeyId}`,
    );
    const { rootKeyId } = await wrapper.wrap(randomBytes(32), CONTEXT);
    await expect(wrapper.unwrap({ ...wrapped, rootKeyId }, CONTEXT)).rejects.toThrow(
      /can't be decrypted/,
    );
  });
});

import { describe, expect, it } from '@jest/globals';

import { FILE_ID_BYTES, SpoolBox, SpoolKeys } from './spool-cipher.js';

const FILE = Buffer.alloc(FILE_ID_BYTES, 1);
const TEXT = Buffer.from('a body');

describe('SpoolBox', () => {
  const box = new SpoolKeys(Buffer.alloc(32, 7)).ofFile(FILE);

  it('opens what it sealed, at its place', () => {
    expect(box.open({ offset: 40 }, box.seal({ offset: 40 }, TEXT))).toEqual(TEXT);
  });

  it('opens nothing of another place, file or root key, and nothing that was changed', () => {
    const sealed = box.seal({ offset: 40 }, TEXT);
    expect(box.open({ offset: 41 }, sealed)).toBeNull();
    const otherFile = new SpoolKeys(Buffer.alloc(32, 7)).ofFile(Buffer.alloc(FILE_ID_BYTES, 2));
    expect(otherFile.open({ offset: 40 }, sealed)).toBeNull();
    const otherRoot = new SpoolKeys(Buffer.alloc(32, 8)).ofFile(FILE);
    expect(otherRoot.open({ offset: 40 }, sealed)).toBeNull();
    expect(otherRoot.keyCheck).not.toEqual(box.keyCheck);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(box.open({ offset: 40 }, changed)).toBeNull();
    }
    expect(box.open({ offset: 40 }, sealed.subarray(0, 20))).toBeNull();
  });

  it('would open a moved record if places were not bound (the control)', () => {
    const unbound = new SpoolBox(FILE, Buffer.alloc(32, 9), () => Buffer.alloc(0));
    expect(unbound.open({ offset: 41 }, unbound.seal({ offset: 40 }, TEXT))).toEqual(TEXT);
  });
});

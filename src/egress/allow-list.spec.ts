import { describe, expect, it } from '@jest/globals';

import { isAddressListed, isNameListed, parseEgressAllow, rulesOfTenant } from './allow-list.js';

const listsAddress = (text: string, address: string, port: number, isMetadata = false): boolean =>
  isAddressListed(parseEgressAllow(text), { address, port, isMetadata });

describe('parseEgressAllow', () => {
  it('reads hosts, addresses and ranges, with and without port and tenant', () => {
    const rules = parseEgressAllow(
      ' intranet.example, Wiki.Example:8080,*.corp.example@acme ,127.0.0.1:3000,[::1]:3000,::1,10.0.0.0/8,fd00::/8@acme,10.1.0.0/16:9000',
    );
    expect(rules.map((rule) => [rule.kind, rule.port, rule.tenant])).toEqual([
      ['name', null, null],
      ['name', 8080, null],
      ['name', null, 'acme'],
      ['addresses', 3000, null],
      ['addresses', 3000, null],
      ['addresses', null, null],
      ['addresses', null, null],
      ['addresses', null, 'acme'],
      ['addresses', 9000, null],
    ]);
  });

  it('takes IPv6 without brackets where nothing in it can be a port', () => {
    for (const entry of [
      '::1',
      'fd00::1',
      '1:2:3:4:5:6:7:80',
      '::1:80/112',
      'fd00::1:beef',
      '::',
    ]) {
      expect(parseEgressAllow(entry)).toMatchObject([{ kind: 'addresses', port: null }]);
    }
    expect(listsAddress('[::1:80]', '::1:80', 1)).toBe(true);
    expect(listsAddress('[::1]:80', '::1', 80)).toBe(true);
    expect(listsAddress('[::1]:80', '::1', 81)).toBe(false);
  });

  it('reads nothing from an empty text', () => {
    expect(parseEgressAllow('')).toEqual([]);
    expect(parseEgressAllow(' , ')).toEqual([]);
  });

  it.each([
    ['http://a.example', /"http:\/\/a\.example".*scheme/],
    ['a.example:0', /port/],
    ['a.example:70000', /port/],
    ['a.example:x', /host/],
    ['a.example/8', /prefix/],
    ['10.0.0.0/33', /at most \/32/],
    ['*', /every network/],
    ['a b', /host/],
    ['a.example@', /tenant/],
    ['0x7f.1', /127\.0\.0\.1/],
    ['-a.example', /host name/],
    ['::ffff:10.0.0.0/64', /IPv4 form/],
    ['::1:80', /write \[::1\]:80 for that port, or \[::1:80\]/],
    ['fd00::1:443@acme', /write \[fd00::1\]:443/],
    ['fe80::1%eth0', /zone/],
    ['[fe80::1%eth0]:80', /zone/],
  ])('names the entry that it cannot read: %s', (entry, message) => {
    expect(() => parseEgressAllow(`good.example,${entry}`)).toThrow(message);
    expect(() => parseEgressAllow(`good.example,${entry}`)).toThrow(/STEPWELL_EGRESS_ALLOW/);
  });
});

describe('rules', () => {
  it('hold for the tenant that they name, by id or by name', () => {
    const rules = parseEgressAllow('a.example,b.example@acme,c.example@0193-id,d.example@other');
    const names = rulesOfTenant(rules, { id: '0193-id', name: 'acme' }).map((rule) =>
      rule.kind === 'name' ? rule.name : '',
    );
    expect(names).toEqual(['a.example', 'b.example', 'c.example']);
  });

  it('match names by whole labels and only their port', () => {
    const rules = parseEgressAllow('a.example:8080,*.b.example');
    expect(isNameListed(rules, 'a.example', 8080)).toBe(true);
    expect(isNameListed(rules, 'a.example', 80)).toBe(false);
    expect(isNameListed(rules, 'xa.example', 8080)).toBe(false);
    expect(isNameListed(rules, 'x.b.example', 1)).toBe(true);
    expect(isNameListed(rules, 'xb.example', 1)).toBe(false);
    expect(isNameListed(rules, 'b.example', 1)).toBe(false);
  });

  it('match addresses in their IPv4 form', () => {
    expect(listsAddress('10.0.0.0/8', '10.2.3.4', 1)).toBe(true);
    expect(listsAddress('10.0.0.0/8', '::ffff:10.2.3.4', 1)).toBe(true);
    expect(listsAddress('::ffff:10.0.0.0/104', '10.2.3.4', 1)).toBe(true);
    expect(listsAddress('10.0.0.0/8', '11.2.3.4', 1)).toBe(false);
    expect(listsAddress('10.0.0.0/8:80', '10.2.3.4', 81)).toBe(false);
    expect(listsAddress('10.0.0.0/8', 'fd00::1', 1)).toBe(false);
  });

  it('list a metadata address only by itself', () => {
    expect(listsAddress('0.0.0.0/0', '169.254.169.254', 80, true)).toBe(false);
    expect(listsAddress('169.254.169.254', '169.254.169.254', 80, true)).toBe(true);
  });
});

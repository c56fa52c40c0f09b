import { isIP } from 'node:net';

import ipaddr from 'ipaddr.js';

import { parseAddress } from './addresses.js';
import type { IpAddress } from './addresses.js';

/** One entry of STEPWELL_EGRESS_ALLOW: a name or a range of addresses, for one port or any. */
export type AllowRule = NameRule | AddressRule;

interface NameRule {
  kind: 'name';
  /** `intranet.example` or `*.intranet.example`, lower case, in ASCII. */
  name: string;
  port: number | null;
  /** Id or name of the only tenant that the rule is for. */
  tenant: string | null;
}

interface AddressRule {
  kind: 'addresses';
  network: IpAddress;
  prefixBits: number;
  port: number | null;
  tenant: string | null;
}

export interface EgressTenant {
  id: string;
  name: string;
}

/** An entry of STEPWELL_EGRESS_ALLOW can't be read; the message names it. */
export class EgressAllowError extends Error {
  constructor(
    readonly entry: string,
    detail: string,
  ) {
    super(`STEPWELL_EGRESS_ALLOW: "${entry}": ${detail}`);
    this.name = 'EgressAllowError';
  }
}

/**
 * Reads STEPWELL_EGRESS_ALLOW: comma-separated `host[:port]`, `[ipv6][:port]` or CIDR (also with
 * `:port`), each optionally followed by `@tenant`. A host may start with `*.`. A rule opens private
 * addresses, bare IPs, plain http and odd ports to whoever may call the host; it grants no host.
 * @throws EgressAllowError naming the entry that can't be read.
 */
export function parseEgressAllow(text: string): AllowRule[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map(parseEntry);
}

/** The rules that hold for one tenant. */
export function rulesOfTenant(rules: readonly AllowRule[], tenant: EgressTenant): AllowRule[] {
  return rules.filter(
    (rule) => rule.tenant === null || rule.tenant === tenant.id || rule.tenant === tenant.name,
  );
}

export function isNameListed(rules: readonly AllowRule[], host: string, port: number): boolean {
  if (isIP(host) !== 0) return false;
  return rules.some(
    (rule) => rule.kind === 'name' && hasPort(rule, port) && matchesName(rule, host),
  );
}

/** Whether an address is listed. A metadata address has to be listed by itself, not by a range. */
export function isAddressListed(
  rules: readonly AllowRule[],
  target: { address: string; port: number; isMetadata: boolean },
): boolean {
  const address = parseAddress(target.address);
  if (address === null) return false;
  return rules.some(
    (rule) =>
      rule.kind === 'addresses' &&
      hasPort(rule, target.port) &&
      rule.network.kind() === address.kind() &&
      (!target.isMetadata || rule.prefixBits === fullPrefix(address)) &&
      address.match(rule.network, rule.prefixBits),
  );
}

/** Whether some address behind a name could be listed for this port, so that resolving is worth it. */
export function hasAddressRule(rules: readonly AllowRule[], port: number): boolean {
  return rules.some((rule) => rule.kind === 'addresses' && hasPort(rule, port));
}

const ENTRY =
  /^(?<target>\[[^\]]*\]|[^\s:[\]/]+|[^\s[\]/]*:[^\s[\]/]*:[^\s[\]/]*)(?:\/(?<prefix>\d{1,3}))?(?::(?<port>\d+))?$/;
const NAME =
  /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

function parseEntry(entry: string): AllowRule {
  const at = entry.indexOf('@');
  const tenant = at === -1 ? null : entry.slice(at + 1).trim();
  if (tenant === '') throw new EgressAllowError(entry, 'name a tenant after "@", or leave "@" out');
  const place = (at === -1 ? entry : entry.slice(0, at)).trim();
  if (place.includes('://')) {
    throw new EgressAllowError(
      entry,
      'leave the scheme out; write host, host:port or a CIDR range',
    );
  }
  const parts = ENTRY.exec(place)?.groups;
  if (parts === undefined) {
    throw new EgressAllowError(entry, 'write host, host:port, [ipv6]:port or a CIDR range');
  }
  const port = parsePort(entry, parts.port);
  const target = (parts.target ?? '').replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (target.includes('%')) {
    throw new EgressAllowError(entry, 'leave the zone (after "%") out; no rule can hold for it');
  }
  if (parts.prefix === undefined && !place.startsWith('[')) refuseAmbiguous(entry, target);
  if (isIP(target) !== 0) return addressRule({ entry, target, prefix: parts.prefix, port, tenant });
  if (parts.prefix !== undefined) {
    throw new EgressAllowError(
      entry,
      `"${target}" is not an IP address, so it can't have a prefix`,
    );
  }
  return { kind: 'name', name: parseName(entry, target), port, tenant };
}

/** `::1:80` is an address, but may have been meant as the address `::1` with the port 80. */
function refuseAmbiguous(entry: string, target: string): void {
  const parts = /^(?<address>.*):(?<port>\d+)$/.exec(target)?.groups;
  const address = parts?.address ?? '';
  if (isIP(target) !== 6 || isIP(address) !== 6) return;
  const meant = `write [${address}]:${parts?.port ?? ''} for that port, or [${target}] for that address`;
  throw new EgressAllowError(entry, `may be read in two ways; ${meant}`);
}

function addressRule(parts: {
  entry: string;
  target: string;
  prefix: string | undefined;
  port: number | null;
  tenant: string | null;
}): AddressRule {
  const { entry, target, port, tenant } = parts;
  const network = ipaddr.parse(target);
  const prefixBits = parts.prefix === undefined ? fullPrefix(network) : Number(parts.prefix);
  if (prefixBits > fullPrefix(network)) {
    throw new EgressAllowError(entry, `the prefix is at most /${String(fullPrefix(network))}`);
  }
  const mapped = parseAddress(target);
  // Addresses are compared in their IPv4 form, so a rule for the mapped form has to be, too.
  if (mapped !== null && mapped.kind() !== network.kind()) {
    if (prefixBits < 96) throw new EgressAllowError(entry, 'write an IPv4 range in its IPv4 form');
    return { kind: 'addresses', network: mapped, prefixBits: prefixBits - 96, port, tenant };
  }
  return { kind: 'addresses', network, prefixBits, port, tenant };
}

function parsePort(entry: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const port = Number(text);
  if (port < 1 || port > 65_535)
    throw new EgressAllowError(entry, 'a port is a number from 1 to 65535');
  return port;
}

function parseName(entry: string, target: string): string {
  if (target === '*') {
    throw new EgressAllowError(entry, '"*" would open every network; list hosts or CIDR ranges');
  }
  const isSuffix = target.startsWith('*.');
  const url = URL.parse(`http://${isSuffix ? target.slice(2) : target}/`);
  const ascii = url === null ? '' : `${isSuffix ? '*.' : ''}${url.hostname}`;
  if (!NAME.test(ascii)) throw new EgressAllowError(entry, `"${target}" is not a host name`);
  if (isIP(url?.hostname ?? '') !== 0) {
    throw new EgressAllowError(entry, `write the address as ${url?.hostname ?? ''}`);
  }
  return ascii;
}

function hasPort(rule: AllowRule, port: number): boolean {
  return rule.port === null || rule.port === port;
}

function matchesName(rule: NameRule, host: string): boolean {
  return rule.name.startsWith('*.') ? host.endsWith(rule.name.slice(1)) : host === rule.name;
}

function fullPrefix(address: IpAddress): number {
  return address.kind() === 'ipv4' ? 32 : 128;
}

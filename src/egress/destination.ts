import { isIP } from 'node:net';

import { HostCallError } from '../sandbox/sandbox.js';
import { classifyAddress } from './addresses.js';
import type { AddressKind } from './addresses.js';
import { hasAddressRule, isAddressListed, isNameListed } from './allow-list.js';
import type { AllowRule } from './allow-list.js';
import type { Defences } from './defences.js';
import { isHostGranted, isPlainHttpGranted, unbracketHost } from './hosts.js';

/**
 * What a connection may lead to. `open`: public addresses and what the operator lists. `listed`:
 * only what the operator lists, because the scheme or the port isn't the usual one.
 */
export type Route = 'open' | 'listed';

/**
 * Decides whether a URL may be called, before anything is resolved or opened. Run for the first
 * request and again for each redirect.
 * @param check.url parsed once; the same object is what is sent
 * @param check.caps lists of hosts by policy; each has to cover the host
 * @param check.rules the operator's rules for this tenant
 * @throws HostCallError `egress.denied`, with what the caller or an operator can do
 */
export function assertDestination(check: {
  url: URL;
  hosts: readonly string[];
  caps: readonly (readonly string[])[];
  rules: readonly AllowRule[];
  defences: Defences;
}): Route {
  const { url, hosts, caps, rules, defences } = check;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw denied('scheme', `scheme "${url.protocol}" is not allowed; use https`);
  }
  if (url.username !== '' || url.password !== '') {
    throw denied(
      'userinfo',
      `the URL of "${url.hostname}" holds a user name or password; leave it out`,
    );
  }
  if (defences.hosts && !isHostGranted(hosts, url.hostname))
    throw hostNotGranted(url.hostname, hosts);
  if (defences.hosts && !caps.every((cap) => isHostGranted(cap, url.hostname)))
    throw hostNotPermitted(url.hostname);
  const host = unbracketHost(url.hostname);
  const port = portOf(url);
  if (isNameListed(rules, host, port)) return 'open';
  if (METADATA_NAMES.has(host.replace(/\.$/, ''))) {
    throw denied('blocked_address', `"${host}" is a cloud metadata service and is refused`);
  }
  if (isIP(host) !== 0) {
    const refusal = defences.literals
      ? findAddressRefusal({ host, port, address: host, rules, route: 'open' })
      : null;
    if (refusal !== null) throw refusal;
    return 'open';
  }
  if (!defences.ports || isUsualPort(url, port, hosts)) return 'open';
  if (hasAddressRule(rules, port)) return 'listed';
  throw unusualPort(url.hostname, port, url.protocol);
}

/**
 * Judges one address for a host: the literal in a URL, each answer of the resolver, and what the
 * socket reached. Null when it may be used.
 */
export function findAddressRefusal(target: {
  host: string;
  port: number;
  address: string;
  rules: readonly AllowRule[];
  route: Route;
}): HostCallError | null {
  const { host, port, address, rules, route } = target;
  const kind = classifyAddress(address);
  if (isAddressListed(rules, { address, port, isMetadata: kind === 'metadata' })) return null;
  const isLiteral = isIP(host) !== 0;
  if (isNameListed(rules, host, port)) {
    return kind === 'public' || kind === 'private' ? null : specialAddress(host, kind);
  }
  if (kind !== 'public') {
    return isLiteral ? literalAddress(host, port, kind) : hiddenAddress(host, port, kind);
  }
  if (isLiteral) return literalAddress(host, port, kind);
  return route === 'open' ? null : unusualPort(host, port, null);
}

/** Port of a URL, also when it is the scheme's own. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

/** A refusal by rule: the same call will be refused again. `reason` is stable, for programs. */
export function denied(reason: string, message: string): HostCallError {
  return new HostCallError('egress.denied', message, { reason, sent: false });
}

/** What an operator can do. */
export function allowHint(rule: string): string {
  return `an operator can allow it with STEPWELL_EGRESS_ALLOW=${rule}`;
}

/** Known by name where no resolver outside that cloud would find them. */
const METADATA_NAMES = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
]);

const KIND_WORDS: Record<AddressKind, string> = {
  public: 'a bare IP address',
  private: 'a private address',
  link_local: 'a link-local address',
  metadata: 'a cloud metadata address',
  reserved: 'a reserved address',
};

const MAX_HOSTS_SHOWN = 10;

function isUsualPort(url: URL, port: number, hosts: readonly string[]): boolean {
  if (url.protocol === 'https:') return port === 443;
  return port === 80 && isPlainHttpGranted(hosts, url.hostname);
}

function hostNotGranted(hostname: string, hosts: readonly string[]): HostCallError {
  const shown = hosts.slice(0, MAX_HOSTS_SHOWN).join(', ');
  const more =
    hosts.length > MAX_HOSTS_SHOWN ? `, and ${String(hosts.length - MAX_HOSTS_SHOWN)} more` : '';
  const reach = hosts.length === 0 ? 'it may reach no host' : `it may reach: ${shown}${more}`;
  return denied('host_not_granted', `host "${hostname}" is not granted to this plugin; ${reach}`);
}

/** What the policy allows instead is for those who may read it. */
function hostNotPermitted(hostname: string): HostCallError {
  return denied(
    'host_not_permitted',
    `policy forbids this plugin to reach host "${hostname}"; an admin can change that`,
  );
}

function unusualPort(host: string, port: number, protocol: string | null): HostCallError {
  const rule = `${host}:${String(port)}`;
  const what = protocol === 'http:' && port === 80 ? 'plain http to' : `port ${String(port)} of`;
  return denied(
    'port',
    `${what} "${host}" is refused: use https on port 443, or ${allowHint(rule)}`,
  );
}

function literalAddress(host: string, port: number, kind: AddressKind): HostCallError {
  const shown = host.includes(':') ? `[${host}]` : host;
  const advice = kind === 'public' ? 'use its host name, or ' : '';
  return denied(
    'blocked_address',
    `${host} is ${KIND_WORDS[kind]}; ${advice}${allowHint(`${shown}:${String(port)}`)}`,
  );
}

/** A name that leads inside. The address stays unsaid: it would map the operator's network. */
function hiddenAddress(host: string, port: number, kind: AddressKind): HostCallError {
  if (kind !== 'private') return specialAddress(host, kind);
  return denied(
    'blocked_address',
    `"${host}" resolves to a private address; ${allowHint(`${host}:${String(port)}`)}`,
  );
}

function specialAddress(host: string, kind: AddressKind): HostCallError {
  return denied(
    'blocked_address',
    `"${host}" resolves to ${KIND_WORDS[kind]}; only a STEPWELL_EGRESS_ALLOW entry for that very address can open it`,
  );
}

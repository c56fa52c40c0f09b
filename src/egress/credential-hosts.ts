import { isIP } from 'node:net';

import { isAddressListed, isNameListed } from './allow-list.js';
import type { AllowRule } from './allow-list.js';
import { portOf } from './destination.js';
import type { Route } from './destination.js';
import { isHostGranted, normalisePattern, unbracketHost } from './hosts.js';

/**
 * Whether a URL belongs to a credential. A name or a suffix means https on port 443; an entry with a
 * scheme means that very origin. No entry means every host: "*" matches nothing here.
 * @param hosts as EgressCredential.hosts
 */
export function isCredentialHost(hosts: readonly string[], url: URL): boolean {
  return hosts.some((entry) => {
    if (entry.includes('://')) return originOf(entry) === url.origin;
    if (url.protocol !== 'https:' || url.port !== '') return false;
    const pattern = normalisePattern(entry, false);
    return pattern !== null && isHostGranted([pattern], url.hostname);
  });
}

/**
 * Whether a secret may go over the wire to this URL: always by https; by plain http only to what the
 * operator lists. A grant of "*" or of an http URL says that a host may be called, not that everyone
 * between may read along.
 * @param route of assertDestination; `listed` reaches no address but those that the operator lists
 */
export function isWireTrusted(url: URL, rules: readonly AllowRule[], route: Route): boolean {
  if (url.protocol === 'https:' || route === 'listed') return true;
  const host = unbracketHost(url.hostname);
  const port = portOf(url);
  if (isIP(host) === 0) return isNameListed(rules, host, port);
  return isAddressListed(rules, { address: host, port, isMetadata: false });
}

function originOf(entry: string): string | null {
  const url = URL.parse(entry);
  return url !== null && (url.protocol === 'https:' || url.protocol === 'http:')
    ? url.origin
    : null;
}

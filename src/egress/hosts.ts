import { isIP } from 'node:net';

import type { HostPermission } from '@stepwell/plugin-sdk';

import { pointerToken, readPointer } from '../common/json.js';
import type { JsonObject, JsonValue } from '../common/json.js';

/**
 * Turns the host permissions of a manifest into the entries of a grant:
 * `api.example.com` (that name), `*.example.com` (every name below it), `*` (any public host) and
 * `http://example.com` (that name, also by plain http on port 80, because the caller typed it so).
 * `{ fromInput }` and `*` count for generic actions only. A permission whose field is absent or
 * holds neither a URL nor a host name grants nothing.
 */
export function resolveHostPermissions(
  permissions: readonly HostPermission[],
  sources: { input: JsonValue; credential: JsonObject | null },
  generic: boolean,
): string[] {
  const hosts = new Set<string>();
  for (const permission of permissions) {
    const host = resolvePermission(permission, sources, generic);
    if (host !== null) hosts.add(host);
  }
  return [...hosts];
}

/**
 * Whether a grant covers a host. `hostname` is that of a parsed WHATWG URL: lower case, in ASCII,
 * IPv6 in brackets. Names are compared whole, label by label; a suffix never covers its own apex,
 * a bare IP, or a name that merely ends alike.
 */
export function isHostGranted(hosts: readonly string[], hostname: string): boolean {
  const isAddress = isIP(unbracketHost(hostname)) !== 0;
  return hosts.some((entry) => {
    if (entry === '*') return true;
    if (entry.startsWith('*.')) {
      const suffix = entry.slice(1);
      return !isAddress && hostname.length > suffix.length && hostname.endsWith(suffix);
    }
    return (entry.startsWith(PLAIN_HTTP) ? entry.slice(PLAIN_HTTP.length) : entry) === hostname;
  });
}

/** Whether the grant lets a public host be called by plain http on port 80. */
export function isPlainHttpGranted(hosts: readonly string[], hostname: string): boolean {
  return hosts.includes('*') || hosts.includes(`${PLAIN_HTTP}${hostname}`);
}

/**
 * A name or a suffix in the form of a parsed URL; null when it is neither, or `*` for what isn't
 * generic.
 */
export function normalisePattern(pattern: string, generic: boolean): string | null {
  if (pattern === '*') return generic ? '*' : null;
  const isSuffix = pattern.startsWith('*.');
  const name = isSuffix ? pattern.slice(2) : pattern;
  if (!HOST_WITH_PORT.test(name) || name.includes('*')) return null;
  const url = URL.parse(`https://${name}`);
  // A port in a manifest would be a promise that the gateway doesn't keep: 443 or an operator's rule.
  if (url === null || url.port !== '') return null;
  if (!isSuffix) return url.hostname;
  return isIP(unbracketHost(url.hostname)) === 0 ? `*.${url.hostname}` : null;
}

/** The host of a URL as sockets and resolvers take it: IPv6 without brackets. */
export function unbracketHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

const PLAIN_HTTP = 'http://';
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
const HOST_WITH_PORT = /^(?:\[[0-9a-f:.]+\]|[^\s/\\@?#:[\]]+)(?::\d+)?$/i;

function resolvePermission(
  permission: HostPermission,
  sources: { input: JsonValue; credential: JsonObject | null },
  generic: boolean,
): string | null {
  if (typeof permission === 'string') return normalisePattern(permission, generic);
  if ('fromInput' in permission) {
    const url = generic ? readUrl(sources.input, permission.fromInput) : null;
    if (url === null) return null;
    return url.protocol === 'http:' ? `${PLAIN_HTTP}${url.hostname}` : url.hostname;
  }
  const url = readUrl(sources.credential, permission.fromCredential);
  return url === null ? null : url.hostname;
}

/** Reads a URL, or a host name with an optional port, from a field given by name or JSON Pointer. */
function readUrl(source: JsonValue, field: string): URL | null {
  const value = readPointer(source, field.startsWith('/') ? field : `/${pointerToken(field)}`);
  if (typeof value !== 'string') return null;
  const text = value.trim();
  const url = SCHEME.test(text)
    ? URL.parse(text)
    : HOST_WITH_PORT.test(text)
      ? URL.parse(`https://${text}`)
      : null;
  if (url === null || url.hostname === '' || !['http:', 'https:'].includes(url.protocol))
    return null;
  // WHATWG takes a star for part of a name, and a grant takes it for a pattern: `https://*` would
  // grant every host to a plugin that nobody gave "*".
  return url.hostname.includes('*') ? null : url;
}

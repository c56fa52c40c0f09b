import type { CredentialManifest } from '@stepwell/plugin-sdk';

/**
 * Where a credential may be sent, from its type and its readable fields: names as the type has them,
 * and for a URL in a field its host name (https on 443) or its origin (`http://127.0.0.1:9000`).
 */
export function resolveCredentialHosts(
  type: Pick<CredentialManifest, 'hosts'>,
  fields: Readonly<Record<string, string>>,
): string[] {
  const hosts = type.hosts.flatMap((host) => {
    if (typeof host === 'string') return [host.toLowerCase()];
    const url = parseHttpUrl(fields[host.fromField] ?? '');
    if (url === null) return [];
    return [url.protocol === 'https:' && url.port === '' ? url.hostname : url.origin];
  });
  return [...new Set(hosts)];
}

/**
 * An absolute http or https URL (WHATWG), or null; also null when its host holds a star, which among
 * the hosts of a credential would stand for many.
 */
export function parseHttpUrl(text: string): URL | null {
  if (!/^https?:\/\//i.test(text)) return null;
  const url = URL.parse(text);
  return url === null || url.hostname === '' || url.hostname.includes('*') ? null : url;
}

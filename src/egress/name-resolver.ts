import { Resolver } from 'node:dns/promises';

import type { ResolvedAddress } from './connector.js';
import { errorCode } from './error-code.js';
import { HostsFile } from './hosts-file.js';

export interface NameResolverOptions {
  /** Default: the hosts file of the system. */
  readonly hostsFile?: HostsFile;
  /** `address` or `address:port`. Default: those of the system. */
  readonly servers?: readonly string[];
  /** Of a whole look-up, with all its tries. Default 8,000: less than a connection may take. */
  readonly timeoutMs?: number;
}

/** A name has no address, or none was found in time. Only its code is shown to anybody. */
export class NameNotResolved extends Error {
  constructor(readonly code: 'ENOTFOUND' | 'EAI_AGAIN') {
    super(code);
  }
}

/**
 * Resolves names by the hosts file and DNS, in this process. getaddrinfo, which `dns.lookup` calls,
 * holds one of libuv's four threads for as long as a server is silent, also when nobody waits any
 * more: four names of one tenant would stop the look-ups of all, and files and zlib with them.
 *
 * Deliberately unlike getaddrinfo: names are asked for as they are (no search domains and no `ndots`:
 * a cluster's short `svc.namespace` has to be written in full); no mDNS (`.local`), NIS, LLMNR or
 * other sources of nsswitch.conf; no resolvers of single interfaces (VPNs on macOS); and no order of
 * addresses by RFC 6724: IPv4 comes first, and node:net tries the other family when one is slow.
 */
export class NameResolver {
  readonly #hostsFile: HostsFile;
  readonly #servers: readonly string[] | null;
  readonly #timeoutMs: number;

  constructor(options: NameResolverOptions = {}) {
    this.#hostsFile = options.hostsFile ?? new HostsFile();
    this.#servers = options.servers ?? null;
    this.#timeoutMs = options.timeoutMs ?? 8_000;
  }

  /** @throws NameNotResolved `ENOTFOUND`: there is no such name; `EAI_AGAIN`: no server said so */
  async lookup(hostname: string): Promise<ResolvedAddress[]> {
    const name = hostname.toLowerCase().replace(/\.$/, '');
    const listed = await this.#hostsFile.find(name);
    if (listed.length > 0) return listed;
    // RFC 6761, 6.3: never asked of a server.
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK;
    return this.#ask(hostname);
  }

  async #ask(hostname: string): Promise<ResolvedAddress[]> {
    // One for each look-up: it can be cancelled alone, and sees a changed resolv.conf.
    const resolver = new Resolver({ timeout: Math.ceil(this.#timeoutMs / 4), tries: TRIES });
    if (this.#servers !== null) resolver.setServers(this.#servers);
    const timer = setTimeout(() => {
      resolver.cancel();
    }, this.#timeoutMs);
    try {
      const answers = await Promise.allSettled([
        resolver.resolve4(hostname),
        resolver.resolve6(hostname),
      ]);
      const found = answers.flatMap((answer, at) =>
        answer.status === 'rejected'
          ? []
          : answer.value.map((address) => ({ address, family: at === 0 ? 4 : 6 })),
      );
      if (found.length > 0) return found;
      const isUnknown = answers.every(
        (answer) => answer.status === 'fulfilled' || NO_SUCH_NAME.has(errorCode(answer.reason)),
      );
      throw new NameNotResolved(isUnknown ? 'ENOTFOUND' : 'EAI_AGAIN');
    } finally {
      clearTimeout(timer);
    }
  }
}

const TRIES = 3;
const LOOPBACK: ResolvedAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];
/** No address of that family, no name, or nothing that can be one. */
const NO_SUCH_NAME = new Set(['ENODATA', 'ENOTFOUND', 'EBADNAME']);

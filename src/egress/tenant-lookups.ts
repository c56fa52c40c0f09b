import { HostCallError } from '../sandbox/sandbox.js';
import type { Lookup, ResolvedAddress } from './connector.js';

/**
 * The look-ups of one tenant: the same name is asked for once at a time, and only so many names at
 * once, so that names of slow servers take no more than their tenant's share.
 */
export class TenantLookups {
  readonly #running = new Map<string, Promise<ResolvedAddress[]>>();

  constructor(
    private readonly ask: Lookup,
    private readonly maxRunning: number,
  ) {}

  /** @throws HostCallError `egress.failed` when too many run; else whatever the resolver throws */
  readonly lookup: Lookup = async (hostname) => {
    const running = this.#running.get(hostname);
    if (running !== undefined) return running;
    if (this.#running.size >= this.maxRunning) {
      throw new HostCallError(
        'egress.failed',
        `"${hostname}" was not looked up: ${String(this.maxRunning)} other host names of this tenant are being looked up now`,
        { reason: 'too_many_lookups', sent: false },
      );
    }
    const asked = this.ask(hostname).finally(() => {
      this.#running.delete(hostname);
    });
    this.#running.set(hostname, asked);
    return asked;
  };
}

import { Agent } from 'undici';

import { rulesOfTenant } from './allow-list.js';
import type { AllowRule, EgressTenant } from './allow-list.js';
import { ConnectionQuota } from './connection-quota.js';
import type { TenantConnections } from './connection-quota.js';
import { guardedConnector } from './connector.js';
import type { Lookup } from './connector.js';
import type { Defences } from './defences.js';
import type { Route } from './destination.js';
import { TenantLookups } from './tenant-lookups.js';

export interface TenantAgentsOptions {
  allow: readonly AllowRule[];
  lookup: Lookup;
  ca: readonly string[] | null;
  defences: Defences;
  connectTimeoutMs: number;
  headersTimeoutMs: number;
  bodyIdleTimeoutMs: number;
  /** Tenants whose connections are kept; past that, those of the longest unused are closed. */
  maxTenants: number;
  /** A tenant's connections are closed after so much time without a request. */
  tenantIdleMs: number;
  connectionsPerOrigin: number;
  connectionsPerTenant: number;
  /** Of all tenants. */
  maxConnections: number;
  /** Names that one tenant may have looked up at once. */
  lookupsPerTenant: number;
}

/** What one tenant sends through: its operator's rules, and connections that no other tenant uses. */
export interface TenantLane {
  rules: readonly AllowRule[];
  agent(route: Route): Agent;
}

const MAX_RESPONSE_HEADER_BYTES = 64 * 1024;
const KEEP_ALIVE_MS = 10_000;
const KEEP_ALIVE_MAX_MS = 60_000;

/**
 * The connections of all tenants: a bounded set of lanes, the least recently used first. No
 * connection is ever shared: a kept connection carries what the far end remembers of its user.
 */
export class TenantAgents {
  readonly #options: TenantAgentsOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #quota: ConnectionQuota;

  constructor(options: TenantAgentsOptions) {
    this.#options = options;
    this.#quota = new ConnectionQuota(
      { perTenant: options.connectionsPerTenant, total: options.maxConnections },
      () => this.#dropIdle(),
    );
  }

  get size(): number {
    return this.#lanes.size;
  }

  lane(tenant: EgressTenant): TenantLane {
    // A renamed tenant gets a new lane: rules may name tenants by name.
    const key = JSON.stringify([tenant.id, tenant.name]);
    const lane = this.#lanes.get(key) ?? new Lane(tenant, this.#options, this.#quota);
    this.#lanes.delete(key);
    this.#lanes.set(key, lane);
    lane.usedAt = performance.now();
    this.#closeUnused();
    return lane;
  }

  /** Cuts all connections, also those in use. */
  async close(): Promise<void> {
    const lanes = [...this.#lanes.values()];
    this.#lanes.clear();
    await Promise.all(lanes.map((lane) => lane.destroy()));
  }

  /** The longest unused tenant gives up a kept connection first. */
  #dropIdle(): boolean {
    for (const lane of this.#lanes.values()) if (lane.connections.dropIdle()) return true;
    return false;
  }

  /** No timer: idle sockets close themselves, and each request sweeps what others left behind. */
  #closeUnused(): void {
    const idleSince = performance.now() - this.#options.tenantIdleMs;
    for (const [key, lane] of this.#lanes) {
      if (this.#lanes.size <= this.#options.maxTenants && lane.usedAt > idleSince) return;
      this.#lanes.delete(key);
      lane.closeWhenDone();
    }
  }
}

class Lane implements TenantLane {
  readonly rules: readonly AllowRule[];
  usedAt = 0;
  readonly #options: TenantAgentsOptions;
  readonly #agents = new Map<Route, Agent>();
  readonly connections: TenantConnections;
  readonly #lookups: TenantLookups;

  constructor(tenant: EgressTenant, options: TenantAgentsOptions, quota: ConnectionQuota) {
    this.rules = rulesOfTenant(options.allow, tenant);
    this.#options = options;
    this.#lookups = new TenantLookups(options.lookup, options.lookupsPerTenant);
    this.connections = quota.ofTenant(({ origin }) => this.#isIdle(origin));
  }

  /** One agent per route: a connection opened under the wider rule is not reused under the other. */
  agent(route: Route): Agent {
    let agent = this.#agents.get(route);
    if (agent === undefined) {
      agent = this.#makeAgent(route);
      this.#agents.set(route, agent);
    }
    return agent;
  }

  /** Lets running requests finish; new ones get another lane. */
  closeWhenDone(): void {
    for (const agent of this.#agents.values()) {
      // An agent that can't close in good order is cut.
      agent.close().catch(() => agent.destroy());
    }
  }

  async destroy(): Promise<void> {
    const destroyed = [...this.#agents.values()].map((agent) => agent.destroy());
    // An agent waits for what it is opening, which may be a name that nobody resolves.
    this.connections.cut();
    await Promise.all(destroyed);
  }

  /** Neither running nor waiting requests, on any route: its sockets can go without anybody's loss. */
  #isIdle(origin: string): boolean {
    // An agent that is closing forgets what its sockets still do.
    return [...this.#agents.values()].every(
      (agent) => !agent.closed && (agent.stats[origin]?.size ?? 0) === 0,
    );
  }

  /** An Agent asks no proxy and reads no proxy variables; only undici's EnvHttpProxyAgent would. */
  #makeAgent(route: Route): Agent {
    const options = this.#options;
    return new Agent({
      connect: guardedConnector({
        rules: this.rules,
        route,
        lookup: this.#lookups.lookup,
        connections: this.connections,
        connectTimeoutMs: options.connectTimeoutMs,
        ca: options.ca,
        defences: options.defences,
      }),
      allowH2: false,
      pipelining: 1,
      connections: options.connectionsPerOrigin,
      // Origins that are called at once. More than connections, so that kept ones can make room.
      maxOrigins: options.connectionsPerTenant * 2,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      headersTimeout: options.headersTimeoutMs,
      bodyTimeout: options.bodyIdleTimeoutMs,
    });
  }
}

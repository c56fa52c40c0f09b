import type { OutboundRequest, OutboundResponse } from '../sandbox/sandbox.js';
import type { AllowRule, EgressTenant } from './allow-list.js';
import type { Lookup } from './connector.js';
import { Deadline } from './deadline.js';
import { ALL_DEFENCES } from './defences.js';
import type { Defences } from './defences.js';
import { assertDestination, denied } from './destination.js';
import { toHostCallError } from './failures.js';
import { NameResolver } from './name-resolver.js';
import { followRedirect, readRedirect } from './redirects.js';
import { readRequest } from './request-head.js';
import type { RequestHead } from './request-head.js';
import { openExchange } from './exchange.js';
import type { Exchange } from './exchange.js';
import { TenantAgents } from './tenant-agents.js';

export interface EgressOptions {
  /** Version of Stepwell, for the User-Agent header. */
  version: string;
  /** The operator's rules, from parseEgressAllow. */
  allow: readonly AllowRule[];
  /** Default: a NameResolver: the system's hosts file, then its DNS servers. */
  lookup?: Lookup;
  /** Certificate authorities in PEM that replace Node's own. */
  ca?: readonly string[];
  /** Default 10,000. */
  connectTimeoutMs?: number;
  /** From the request sent to the head of its answer; the call's own deadline holds as well. Default 300,000. */
  headersTimeoutMs?: number;
  /** Between two pieces of an answer. Default 60,000. */
  bodyIdleTimeoutMs?: number;
  /** Tenants whose connections are kept open. Default 256. */
  maxTenants?: number;
  /** Default 300,000. */
  tenantIdleMs?: number;
  /** Connections of one tenant to one origin. Default 32. */
  connectionsPerOrigin?: number;
  /** Connections of one tenant, kept ones included. Default 128. */
  connectionsPerTenant?: number;
  /** Connections of all tenants. Default 1,024, to stay clear of the usual limits on open files. */
  maxConnections?: number;
  /** Host names that one tenant may have looked up at once. Default 16. */
  lookupsPerTenant?: number;
  /** For tests of the defences only. */
  defences?: Partial<Defences>;
}

/** What one call may do on the network. */
export interface EgressGrant {
  tenant: EgressTenant;
  /** Entries as resolveHostPermissions gives them, narrowed by whatever policy applies. */
  hosts: readonly string[];
  /** Largest response body, decompressed. */
  responseBytes: number;
  /** Longest time for one request with its redirects. */
  timeoutMs: number;
  /** Default 3. */
  maxRedirects?: number;
}

/**
 * The only door to the network. Each request is checked against its grant, sent over connections
 * that belong to its tenant, and answered with a bounded, decompressed body.
 */
export class EgressGateway {
  readonly #agents: TenantAgents;
  readonly #defences: Defences;
  readonly #userAgent: string;
  readonly #closing = new AbortController();

  constructor(options: EgressOptions) {
    this.#defences = { ...ALL_DEFENCES, ...options.defences };
    this.#userAgent = `Stepwell/${options.version}`;
    this.#agents = new TenantAgents({
      allow: options.allow,
      lookup: options.lookup ?? systemLookup(),
      ca: options.ca ?? null,
      defences: this.#defences,
      connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
      headersTimeoutMs: options.headersTimeoutMs ?? 300_000,
      bodyIdleTimeoutMs: options.bodyIdleTimeoutMs ?? 60_000,
      maxTenants: options.maxTenants ?? 256,
      tenantIdleMs: options.tenantIdleMs ?? 300_000,
      connectionsPerOrigin: options.connectionsPerOrigin ?? 32,
      connectionsPerTenant: options.connectionsPerTenant ?? 128,
      maxConnections: options.maxConnections ?? 1_024,
      lookupsPerTenant: options.lookupsPerTenant ?? 16,
    });
  }

  /**
   * Sends one request and reads its whole answer, whatever its status.
   * @param signal ends the call; a reason named TimeoutError counts as a timeout
   * @throws HostCallError only: `egress.denied` (not allowed, nothing was sent to that host),
   *   `egress.invalid_request`, `egress.failed`, `egress.timed_out`, `egress.response_too_large`;
   *   `details.sent` is false when no server can have seen the request
   */
  async send(
    grant: EgressGrant,
    request: OutboundRequest,
    signal: AbortSignal,
  ): Promise<OutboundResponse> {
    const head = readRequest(request, this.#userAgent);
    const timeoutMs = Math.max(1, Math.min(grant.timeoutMs, request.timeoutMs ?? Infinity));
    const deadline = new Deadline(timeoutMs, signal, this.#closing.signal);
    try {
      return await this.#follow({ grant, head, redirect: request.redirect, deadline });
    } finally {
      deadline.clear();
    }
  }

  /** Ends every running call and cuts all connections. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('the gateway is closed', 'AbortError'));
    await this.#agents.close();
  }

  async #follow(call: {
    grant: EgressGrant;
    head: RequestHead;
    redirect: OutboundRequest['redirect'];
    deadline: Deadline;
  }): Promise<OutboundResponse> {
    const { grant, redirect, deadline } = call;
    let { head } = call;
    let hops = 0;
    let hasSent = false;
    const onSend = (): void => {
      hasSent = true;
    };
    try {
      for (;;) {
        const exchange = await this.#open(grant, head, { signal: deadline.signal, onSend });
        const location =
          redirect === 'manual' ? null : readRedirect(exchange.status, exchange.headers);
        if (location === null) {
          return await exchange.read({ limitBytes: this.#limitBytes(grant), redirected: hops > 0 });
        }
        exchange.discard();
        assertMayFollow({ redirect, hops, grant, from: head.url });
        head = followRedirect(head, {
          status: exchange.status,
          location,
          dropsHeaders: this.#defences.redirectHeaders,
        });
        hops += 1;
      }
    } catch (error) {
      throw toHostCallError(error, { host: head.url.hostname, deadline, hasSent });
    }
  }

  /**
   * One hop: checked as if it were the first. What a credential adds to a request is decided here
   * and nowhere else, for this URL alone, so that no redirect carries it along.
   */
  async #open(
    grant: EgressGrant,
    head: RequestHead,
    call: { signal: AbortSignal; onSend: () => void },
  ): Promise<Exchange> {
    call.signal.throwIfAborted();
    const lane = this.#agents.lane(grant.tenant);
    const route = assertDestination({
      url: head.url,
      hosts: grant.hosts,
      rules: lane.rules,
      defences: this.#defences,
    });
    return openExchange(lane.agent(route), head, call);
  }

  #limitBytes(grant: EgressGrant): number {
    return this.#defences.responseBytes ? grant.responseBytes : Infinity;
  }
}

const DEFAULT_MAX_REDIRECTS = 3;

function systemLookup(): Lookup {
  const resolver = new NameResolver();
  return async (hostname) => resolver.lookup(hostname);
}

function assertMayFollow(step: {
  redirect: OutboundRequest['redirect'];
  hops: number;
  grant: EgressGrant;
  from: URL;
}): void {
  const maxRedirects = step.grant.maxRedirects ?? DEFAULT_MAX_REDIRECTS;
  if (step.redirect === 'error') {
    throw denied(
      'redirect',
      `"${step.from.hostname}" redirects, and the request asks for no redirect`,
    );
  }
  if (step.hops >= maxRedirects) {
    throw denied(
      'redirect',
      `more than ${String(maxRedirects)} redirects, the last from "${step.from.hostname}"`,
    );
  }
}

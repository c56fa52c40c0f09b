import { newId } from '../common/ids.js';
import type { HostCallError, OutboundRequest, OutboundResponse } from '../sandbox/sandbox.js';
import type { AllowRule, EgressTenant } from './allow-list.js';
import type { Lookup } from './connector.js';
import type { EgressCredential } from './credential.js';
import { isCredentialHost, isWireTrusted } from './credential-hosts.js';
import { CredentialUse } from './credential-use.js';
import { Deadline } from './deadline.js';
import { ALL_DEFENCES } from './defences.js';
import type { Defences } from './defences.js';
import { allowHint, assertDestination, denied, portOf } from './destination.js';
import type { Route } from './destination.js';
import { toHostCallError } from './failures.js';
import { NameResolver } from './name-resolver.js';
import { redactHeaders, redactHostCallError, redactResponse } from './redacted.js';
import { Redactor } from './redaction.js';
import { followRedirect, readRedirect } from './redirects.js';
import { readRequest } from './request-head.js';
import type { RequestHead } from './request-head.js';
import { openExchange } from './exchange.js';
import type { Exchange } from './exchange.js';
import { tooLarge } from './response-body.js';
import { EgressSession } from './session.js';
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
  /** Entries as resolveHostPermissions gives them. */
  hosts: readonly string[];
  /** Lists of hosts that policy allows, in the same form: each list has to cover a host. None: no cap. */
  caps: readonly (readonly string[])[];
  /** What is placed in requests to its hosts. It grants no host. */
  credential: EgressCredential | null;
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
  /** A signal that all of them heard would be gone through for each new one. */
  readonly #running = new Set<Deadline>();
  #isClosed = false;

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

  /** What one step sends: its requests share one opening of the credential. */
  session(grant: EgressGrant): EgressSession {
    const use =
      grant.credential === null ? null : new CredentialUse(grant.credential, this.#defences);
    return new EgressSession(use, (request, signal) => this.#send({ grant, use, request, signal }));
  }

  /**
   * Sends one request, in a session of its own, and reads its whole answer, whatever its status.
   * Secrets that were sent are redacted in the answer and in the error.
   * @param signal ends the call; a reason named TimeoutError counts as a timeout
   * @throws HostCallError only: `egress.denied` (not allowed, nothing was sent to that host),
   *   `egress.invalid_request`, `egress.failed`, `egress.timed_out`, `egress.response_too_large`;
   *   `details.sent` is false when no server can have seen the request; `details.reason` begins with
   *   `credential` when the credential is at fault
   */
  async send(
    grant: EgressGrant,
    request: OutboundRequest,
    signal: AbortSignal,
  ): Promise<OutboundResponse> {
    return this.session(grant).send(request, signal);
  }

  /** Ends every running call and cuts all connections. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const deadline of this.#running) deadline.end(closed());
    await this.#agents.close();
  }

  async #send(call: {
    grant: EgressGrant;
    use: CredentialUse | null;
    request: OutboundRequest;
    signal: AbortSignal;
  }): Promise<OutboundResponse> {
    const { grant, use, request } = call;
    const head = readRequest(request, this.#userAgent);
    const timeoutMs = Math.max(1, Math.min(grant.timeoutMs, request.timeoutMs ?? Infinity));
    const messageId = use === null ? '' : `msg_${newId()}`;
    const deadline = new Deadline(timeoutMs, call.signal);
    this.#running.add(deadline);
    if (this.#isClosed) deadline.end(closed());
    try {
      return await this.#follow(
        { grant, use, messageId, redirect: request.redirect, deadline },
        head,
      );
    } finally {
      deadline.clear();
      this.#running.delete(deadline);
    }
  }

  async #follow(call: OutboundCall, asked: RequestHead): Promise<OutboundResponse> {
    const { grant, redirect, deadline } = call;
    // Asked for each time: another request of the session may have opened the secrets meanwhile.
    const redactor = (): Redactor => call.use?.redactor ?? NO_SECRETS;
    let head = asked;
    let hops = 0;
    let hasSent = false;
    const onSend = (): void => {
      hasSent = true;
    };
    try {
      for (;;) {
        const exchange = await this.#open(call, head, onSend);
        const headers = redactHeaders(exchange.headers, redactor());
        const location = redirect === 'manual' ? null : readRedirect(exchange.status, headers);
        if (location === null) {
          const limitBytes = this.#limitBytes(grant);
          const answer = await exchange.read({ redirected: hops > 0, asked: head.url });
          const redacted = redactResponse(answer, redactor());
          // What stands for a secret may be longer than the secret.
          if (redacted.body.byteLength <= limitBytes) return redacted;
          throw tooLarge({ limitBytes, host: head.url.hostname });
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
      const shown = toHostCallError(error, { host: head.url.hostname, deadline, hasSent });
      throw redactHostCallError(shown, redactor());
    }
  }

  /**
   * One hop: checked as if it were the first. What a credential adds to a request is decided here
   * and nowhere else, for this URL alone and in a copy, so that no redirect carries it along.
   */
  async #open(call: OutboundCall, asked: RequestHead, onSend: () => void): Promise<Exchange> {
    const { grant, use, messageId, deadline } = call;
    const { signal } = deadline;
    signal.throwIfAborted();
    const lane = this.#agents.lane(grant.tenant);
    const { rules } = lane;
    const route = assertDestination({
      url: asked.url,
      hosts: grant.hosts,
      caps: grant.caps,
      rules,
      defences: this.#defences,
    });
    const isPlaced = use !== null && this.#takesCredential(use, asked.url, { rules, route });
    const limitBytes = this.#limitBytes(grant);
    const exchange = { signal, onSend, limitBytes };
    if (!isPlaced) return openExchange(lane.agent(route), asked, exchange);
    const head = await use.place(asked, { messageId, signal });
    // While the credential was opened, the lane may have had to go.
    return openExchange(this.#agents.lane(grant.tenant).agent(route), head, exchange);
  }

  #takesCredential(
    use: CredentialUse,
    url: URL,
    { rules, route }: { rules: readonly AllowRule[]; route: Route },
  ): boolean {
    if (!use.isPlaced) return false;
    if (!this.#defences.credentialHosts) return true;
    if (!isCredentialHost(use.hosts, url)) return false;
    if (isWireTrusted(url, rules, route)) return true;
    throw plainHttp(url);
  }

  #limitBytes(grant: EgressGrant): number {
    return this.#defences.responseBytes ? grant.responseBytes : Infinity;
  }
}

/** One request with all of its hops. */
interface OutboundCall {
  grant: EgressGrant;
  use: CredentialUse | null;
  /** Empty without a credential, which alone may sign with it. */
  messageId: string;
  redirect: OutboundRequest['redirect'];
  deadline: Deadline;
}

const NO_SECRETS = new Redactor();
const DEFAULT_MAX_REDIRECTS = 3;

function closed(): Error {
  return new DOMException('the gateway is closed', 'AbortError');
}

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

/** Sent without its credential, it would only come back as a riddle. */
function plainHttp(url: URL): HostCallError {
  const rule = `${url.hostname}:${String(portOf(url))}`;
  return denied(
    'plain_http',
    `a credential is not sent to "${url.hostname}" by plain http: use https, or ${allowHint(rule)}`,
  );
}

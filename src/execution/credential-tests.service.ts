import { Injectable } from '@nestjs/common';
import type { CredentialManifest, CredentialTest } from '@stepwell/plugin-sdk';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid } from '../common/ids.js';
import {
  canonicalJson,
  parseUntrustedJson,
  readPointer,
  UnsafeJsonError,
  type JsonValue,
} from '../common/json.js';
import { CredentialResolver, type ResolvedCredential } from '../credentials/credential-resolver.js';
import { Database } from '../database/database.js';
import { EgressGateway } from '../egress/gateway.js';
import { resolveHostPermissions } from '../egress/hosts.js';
import { parseInjectTemplate } from '../egress/inject-template.js';
import { PluginCatalogue, type UsableEntry } from '../plugins/plugin-catalogue.js';
import {
  DEFAULT_LIMITS,
  HostCallError,
  type OutboundRequest,
  type OutboundResponse,
} from '../sandbox/sandbox.js';
import { AuditService } from '../tenancy/audit/audit.service.js';

/** What a credential's own test request came to. */
export interface CredentialTestResult {
  success: boolean;
  /** What to do when it failed; never a secret. */
  message: string;
  /** Of the answer; null when there was none. */
  status: number | null;
  latency_ms: number;
}

const TIMEOUT_MS = 15_000;

/** Sends the request that a credential type declares for the purpose; no code of the plugin runs. */
@Injectable()
export class CredentialTestsService {
  constructor(
    private readonly database: Database,
    private readonly credentials: CredentialResolver,
    private readonly catalogue: PluginCatalogue,
    private readonly egress: EgressGateway,
    private readonly audit: AuditService,
  ) {}

  /**
   * @throws AppError request.not_found for a credential that the caller may not use, state.conflict
   *   when its type has no test, its plugin can't be used here, or it has expired
   */
  async testCredential(ctx: Ctx, id: string): Promise<CredentialTestResult> {
    const { usable, type, test, credential } = await this.find(ctx, id);
    const session = this.egress.session({
      tenant: { id: ctx.tenantId, name: ctx.tenantName },
      hosts: resolveHostPermissions(
        usable.entry.manifest.permissions.hosts,
        { input: null, credential: credential.fields },
        false,
      ),
      caps: usable.access.hostCaps,
      credential: credential.egress,
      responseBytes: DEFAULT_LIMITS.responseBytes,
      timeoutMs: TIMEOUT_MS,
    });
    const begin = performance.now();
    let outcome: Omit<CredentialTestResult, 'latency_ms'>;
    try {
      const request = toRequest(test, credential.fields);
      outcome = judge(test, await session.send(request, AbortSignal.timeout(TIMEOUT_MS)));
    } catch (error) {
      if (!(error instanceof HostCallError)) throw error;
      outcome = { success: false, message: error.message, status: null };
    }
    const message = session.redactor.redactText(outcome.message);
    await this.database.withTenant(ctx, (tx) =>
      this.audit.record(tx, ctx, {
        action: 'credential.tested',
        subject: { type: 'credential', id: credential.id },
        details: { provider: usable.entry.manifest.id, type: type.id, success: outcome.success },
      }),
    );
    return { ...outcome, message, latency_ms: Math.round(performance.now() - begin) };
  }

  private async find(
    ctx: Ctx,
    id: string,
  ): Promise<{
    usable: UsableEntry;
    type: CredentialManifest;
    test: CredentialTest;
    credential: ResolvedCredential;
  }> {
    const row = isUuid(id)
      ? (await this.credentials.findBindable(ctx, [id])).get(id.toLowerCase())
      : undefined;
    if (!row) throw new AppError('request.not_found', `there is no credential ${id}`);
    const usable = await this.findUsable(ctx, row.provider);
    const type = usable.entry.manifest.credentials?.find((one) => one.id === row.type);
    if (!type?.test) {
      const detail = `the credential type "${row.type}" of "${row.provider}" declares no test`;
      throw new AppError('state.conflict', detail);
    }
    const resolution = await this.credentials.resolve(ctx, {
      provider: row.provider,
      type,
      ref: id,
      execution: null,
      isOptional: false,
      requestId: ctx.requestId,
    });
    if (resolution.kind === 'found') {
      return { usable, type, test: type.test, credential: resolution.credential };
    }
    const reason = resolution.kind === 'failed' ? resolution.message : 'it is gone';
    throw new AppError('state.conflict', reason);
  }

  private async findUsable(ctx: Ctx, provider: string): Promise<UsableEntry> {
    const usable = (await this.catalogue.listUsable(ctx)).find(
      ({ entry }) => entry.manifest.id === provider,
    );
    if (usable) return usable;
    throw new AppError(
      'state.conflict',
      `the plugin "${provider}" can't be used in this tenant now`,
    );
  }
}

function toRequest(
  test: CredentialTest,
  fields: Readonly<Record<string, string>>,
): OutboundRequest {
  const hasBody = test.body !== undefined;
  return {
    method: test.method,
    url: fill(test.url, fields),
    headers: [
      ...Object.entries(test.headers ?? {}),
      ...(hasBody ? [['content-type', 'application/json'] as [string, string]] : []),
    ],
    body: hasBody ? Buffer.from(JSON.stringify(test.body)) : null,
    redirect: 'follow',
  };
}

/**
 * Only fields that aren't secret may stand in a test: secrets are placed by egress. A base URL joins
 * what follows with one slash, however it ends, as in the URLs of declarative actions.
 */
function fill(template: string, fields: Readonly<Record<string, string>>): string {
  let url = '';
  for (const part of parseInjectTemplate(template) ?? [template]) {
    const text = typeof part === 'string' ? part : (fields[part.name] ?? '');
    url = url.endsWith('/') && text.startsWith('/') ? url + text.slice(1) : url + text;
  }
  return url;
}

function judge(
  { expect }: CredentialTest,
  answer: OutboundResponse,
): Omit<CredentialTestResult, 'latency_ms'> {
  const { status } = answer;
  const isOkStatus =
    expect?.status === undefined ? status >= 200 && status <= 299 : status === expect.status;
  if (!isOkStatus) {
    return {
      success: false,
      status,
      message: `the provider answered ${String(status)}; ${adviceOn(status)}`,
    };
  }
  if (expect?.pointer === undefined) return { success: true, status, message: 'ok' };
  const value = readBody(answer.body);
  const found = value === undefined ? undefined : readPointer(value, expect.pointer);
  const isExpected =
    found !== undefined &&
    (expect.equals === undefined || canonicalJson(found) === canonicalJson(expect.equals));
  if (isExpected) return { success: true, status, message: 'ok' };
  const error = value === undefined ? undefined : readPointer(value, '/error');
  const reason = typeof error === 'string' ? `: ${error.slice(0, 200)}` : '';
  return { success: false, status, message: `the provider says no${reason}` };
}

function adviceOn(status: number): string {
  if (status === 401 || status === 403) return 'check the secret and its rights';
  if (status === 404) return 'check the base URL';
  return status === 429 || status >= 500 ? 'try again later' : 'check its fields';
}

function readBody(body: Uint8Array): JsonValue | undefined {
  try {
    return parseUntrustedJson(Buffer.from(body).toString());
  } catch (error) {
    if (error instanceof UnsafeJsonError) return undefined;
    throw error;
  }
}

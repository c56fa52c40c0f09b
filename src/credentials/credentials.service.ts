import { Injectable } from '@nestjs/common';
import type { CredentialManifest } from '@stepwell/plugin-sdk';

import type { Ctx } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { invalidRequest } from '../common/http/validation.pipe.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import { AuditService } from '../tenancy/audit/audit.service.js';
import { checkFields } from './check-fields.js';
import { resolveCredentialHosts } from './credential-hosts.js';
import { CredentialStore, type NewCredential } from './credential-store.js';
import { toView, type CredentialView } from './credential-view.js';
import { Credential, type CredentialScope } from './credential.entity.js';
import type { ListCredentialsQuery, StoreCredentialDto } from './credentials.dto.js';

export const DEFAULT_NAME = 'default';

/** Which of a provider's credentials. */
export interface CredentialChoice {
  /** Default: `default`. */
  name?: string;
  scope?: CredentialScope;
}

/** What users store for providers. No method gives a secret back. */
@Injectable()
export class CredentialsService {
  constructor(
    private readonly database: Database,
    private readonly catalogue: PluginCatalogue,
    private readonly store: CredentialStore,
    private readonly audit: AuditService,
  ) {}

  /**
   * Makes a credential, or replaces the one of that name as a whole. Nothing of an old one is kept:
   * whoever could change the base URL and keep the secret could have it sent to himself.
   * @throws AppError request.not_found for a provider that the tenant may not use, auth.forbidden for a
   *   shared one when the caller is no admin, request.invalid with every problem of its fields
   */
  async storeCredential(
    ctx: Ctx,
    provider: string,
    input: StoreCredentialDto,
  ): Promise<CredentialView> {
    const { name = DEFAULT_NAME, scope = 'user' } = input;
    const type = await this.getType(ctx, provider, input.type);
    if (scope === 'tenant' && ctx.role !== 'admin') {
      throw new AppError(
        'auth.forbidden',
        'only an admin of the tenant stores credentials for all of it; leave "scope" out to store one for yourself',
      );
    }
    const { fields, secrets, problems } = checkFields(type, input.credentials);
    const expiresAt = readExpiry(input.expires_at);
    if (expiresAt === 'past') {
      problems.push({ pointer: '/expires_at', detail: 'must lie in the future' });
    }
    if (problems.length > 0 || expiresAt === 'past') throw invalidRequest(problems);
    const hosts = resolveCredentialHosts(type, fields);
    const credential: NewCredential = {
      ...{ provider, type: type.id, name, scope, fields, secrets, hosts, expiresAt },
    };
    return toView(await this.store.put(ctx, credential));
  }

  /**
   * Without a scope the caller's own comes before the tenant's.
   * @throws AppError request.not_found
   */
  async getCredential(
    ctx: Ctx,
    provider: string,
    { name = DEFAULT_NAME, scope }: CredentialChoice,
  ): Promise<CredentialView> {
    const key = scope === undefined ? { provider, name } : { provider, name, scope };
    const [row] = await this.database.withTenant(ctx, (tx) => findByName(tx, ctx, key));
    if (!row) throw credentialNotFound(key);
    return toView(row);
  }

  /** The credentials that the caller may use, newest first. */
  async listCredentials(ctx: Ctx, query: ListCredentialsQuery): Promise<Page<CredentialView>> {
    const rows = await this.database.withTenant(ctx, (tx) =>
      tx
        .createQueryBuilder(Credential, 'c')
        .where('c.tenantId = :tenantId', { tenantId: ctx.tenantId })
        .andWhere('(:cursor::uuid is null or c.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere('(:provider::text is null or c.provider = :provider::text)', {
          provider: query.provider ?? null,
        })
        .orderBy('c.id', 'DESC')
        .limit(query.limit + 1)
        .getMany(),
    );
    return toPage(rows.map(toView), query.limit);
  }

  /**
   * Deletes the caller's own, unless the scope says `tenant`: nobody takes a shared one from all by
   * leaving a word out.
   * @throws AppError request.not_found, auth.forbidden
   */
  async deleteCredential(
    ctx: Ctx,
    provider: string,
    { name = DEFAULT_NAME, scope = 'user' }: CredentialChoice,
  ): Promise<void> {
    await this.database.withTenant(ctx, async (tx) => {
      const [row] = await findByName(tx, ctx, { provider, name, scope });
      if (!row) throw credentialNotFound({ provider, name, scope });
      if (scope === 'tenant' && ctx.role !== 'admin') {
        throw new AppError('auth.forbidden', 'only an admin of the tenant deletes a shared one');
      }
      const { id, hosts } = row;
      await tx.delete(Credential, { tenantId: ctx.tenantId, id });
      await this.audit.record(tx, ctx, {
        action: 'credential.deleted',
        subject: { type: 'credential', id },
        details: { provider, name, scope, hosts },
      });
    });
  }

  private async getType(
    ctx: Ctx,
    provider: string,
    typeId: string | undefined,
  ): Promise<CredentialManifest> {
    const entry = (await this.catalogue.listEnabled(ctx)).find(
      ({ manifest }) => manifest.id === provider,
    );
    if (!entry) {
      throw new AppError('request.not_found', `there is no provider "${provider}" here`);
    }
    const types = entry.manifest.credentials ?? [];
    const type = typeId === undefined ? types[0] : types.find(({ id }) => id === typeId);
    if (type) return type;
    const known = types.map(({ id }) => `"${id}"`).join(', ');
    throw types.length === 0
      ? new AppError('request.invalid', `the provider "${provider}" takes no credentials`)
      : invalidRequest([{ pointer: '/type', detail: `must be one of ${known}` }]);
  }
}

interface CredentialKey extends CredentialChoice {
  provider: string;
  name: string;
}

/** Those of a name that the transaction's user may use, the own one first. */
export async function findByName(
  tx: Tx,
  ctx: Pick<Ctx, 'tenantId' | 'userId'>,
  { provider, name, scope }: CredentialKey,
): Promise<Credential[]> {
  const rows = await tx.findBy(Credential, {
    tenantId: ctx.tenantId,
    provider,
    name,
    ...(scope === undefined ? {} : { scope }),
  });
  const isOwn = (row: Credential): number => (row.scope === 'user' ? 0 : 1);
  return rows.sort((a, b) => isOwn(a) - isOwn(b));
}

function readExpiry(text: string | null | undefined): Date | null | 'past' {
  if (text === undefined || text === null) return null;
  const date = new Date(text);
  return date.getTime() <= Date.now() ? 'past' : date;
}

function credentialNotFound({ provider, name, scope }: CredentialKey): AppError {
  const which = scope === undefined ? '' : scope === 'user' ? ' of your own' : ' of the tenant';
  return new AppError(
    'request.not_found',
    `there is no credential "${name}"${which} for "${provider}"; ${howToStore(provider)}`,
  );
}

/** What to do when there is none. */
export function howToStore(provider: string): string {
  return `store one with "stepwell credential set ${provider}" or POST /api/provider-credentials/${provider}`;
}

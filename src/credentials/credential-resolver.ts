import { Injectable } from '@nestjs/common';
import type { CredentialManifest } from '@stepwell/plugin-sdk';
import { In } from 'typeorm';

import { isUuid } from '../common/ids.js';
import type { StepErrorCode } from '../common/provider-result.js';
import { Database, type Tx, type TxCtx } from '../database/database.js';
import { CredentialUnreadableError, type EgressCredential } from '../egress/credential.js';
import { CredentialSecrets } from './credential-secrets.js';
import { isExpired } from './credential-view.js';
import { Credential, type CredentialScope } from './credential.entity.js';
import { DEFAULT_NAME, findByName, howToStore } from './credentials.service.js';

/** What a step asks for. */
export interface CredentialNeed {
  provider: string;
  /** Of the version that the step pinned. */
  type: CredentialManifest;
  /** A name, an id, or null for `default`. */
  ref: string | null;
  /** Of a saved plan's step, whose author may have bound a credential by its id. */
  execution: { id: string; stepId: string } | null;
  isOptional: boolean;
  requestId?: string;
}

/** A credential as a step may use it. */
export interface ResolvedCredential {
  id: string;
  name: string;
  scope: CredentialScope;
  /** Those that aren't secret, by name. */
  fields: Record<string, string>;
  egress: EgressCredential;
}

export type Resolution =
  | { kind: 'found'; credential: ResolvedCredential }
  | { kind: 'none' }
  | {
      kind: 'failed';
      code: Extract<StepErrorCode, 'credential.missing' | 'credential.expired'>;
      /** Says what to do. */
      message: string;
    };

/** What the validation of plans needs to know of a credential. */
export interface BindableCredential {
  provider: string;
  type: string;
  scope: CredentialScope;
  ownerId: string;
  name: string;
}

/** Finds the credential of a step. Nothing is decrypted before egress asks for it. */
@Injectable()
export class CredentialResolver {
  constructor(
    private readonly database: Database,
    private readonly secrets: CredentialSecrets,
  ) {}

  /**
   * Without a reference the `default` of the run-as user, then the tenant's; a name in the same order;
   * an id is the row that the user may use, or that the author of the running plan version bound.
   * @param actAs the run-as user
   */
  async resolve(actAs: TxCtx, need: CredentialNeed): Promise<Resolution> {
    const rows = await this.database.withTenant(actAs, (tx) => findCandidates(tx, actAs, need));
    const row = rows.find(
      ({ provider, type }) => provider === need.provider && type === need.type.id,
    );
    if (row) {
      if (isExpired(row)) return failed('credential.expired', describeExpired(row));
      return { kind: 'found', credential: this.toResolved(actAs, need, row) };
    }
    if (rows.length === 0 && need.ref === null && need.isOptional) return { kind: 'none' };
    return failed('credential.missing', describeMissing(need, rows[0]));
  }

  /** Those of `ids` that the caller may use, by id in lower case. */
  async findBindable(ctx: TxCtx, ids: string[]): Promise<Map<string, BindableCredential>> {
    const known = ids.filter(isUuid);
    if (known.length === 0) return new Map();
    const rows = await this.database.withTenant(ctx, (tx) =>
      tx.findBy(Credential, { tenantId: ctx.tenantId, id: In(known) }),
    );
    return new Map(
      rows.map(({ id, provider, type, scope, ownerId, name }) => [
        id,
        { provider, type, scope, ownerId, name },
      ]),
    );
  }

  private toResolved(actAs: TxCtx, need: CredentialNeed, row: Credential): ResolvedCredential {
    const { id, name, scope, fields, hosts } = row;
    const { requestId, type } = need;
    let opened: Promise<Record<string, string>> | null = null;
    const openSecrets = async (): Promise<Record<string, string>> => {
      opened ??= this.secrets.open(requestId === undefined ? actAs : { ...actAs, requestId }, row);
      try {
        return await opened;
      } catch (error) {
        // The database was away, say: the next one who asks may have more luck.
        if (!(error instanceof CredentialUnreadableError)) opened = null;
        throw error;
      }
    };
    return { id, name, scope, fields, egress: { hosts, inject: type.inject, fields, openSecrets } };
  }
}

async function findCandidates(tx: Tx, actAs: TxCtx, need: CredentialNeed): Promise<Credential[]> {
  const { provider, ref, execution } = need;
  if (ref === null || !isUuid(ref)) {
    return await findByName(tx, actAs, { provider, name: ref ?? DEFAULT_NAME });
  }
  const row = await tx.findOneBy(Credential, { tenantId: actAs.tenantId, id: ref });
  if (row) return [row];
  if (execution === null) return [];
  // Proves that the plan's author bound it; see the migration for the conditions.
  return await tx.query<Credential[]>(
    `select tenant_id as "tenantId", id, provider, type, name, scope, owner_id as "ownerId", fields,
            secrets, masked, hosts, key_version as "keyVersion", revision, expires_at as "expiresAt",
            created_at as "createdAt", updated_at as "updatedAt"
       from bound_credential($1, $2) where id = $3`,
    [execution.id, execution.stepId, ref],
  );
}

function failed(
  code: 'credential.missing' | 'credential.expired',
  message: string,
): Extract<Resolution, { kind: 'failed' }> {
  return { kind: 'failed', code, message };
}

function describeExpired({ name, provider, expiresAt }: Credential): string {
  return `the credential "${name}" for "${provider}" expired at ${expiresAt?.toISOString() ?? ''}; ${howToStore(provider)}`;
}

function describeMissing(need: CredentialNeed, found: Credential | undefined): string {
  const { provider, type, ref } = need;
  if (found) {
    return `the credential "${found.name}" is of type "${found.type}" for "${found.provider}"; this step needs one of type "${type.id}" for "${provider}"`;
  }
  if (ref !== null && isUuid(ref)) {
    return `the credential ${ref} is not there for whoever runs this: it was deleted, it is another user's, or somebody else than its owner changed the plan; let its owner save the plan again, or name another in the step`;
  }
  return `there is no credential "${ref ?? DEFAULT_NAME}" for "${provider}"; ${howToStore(provider)}`;
}

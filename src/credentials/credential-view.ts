import type { Credential, CredentialScope } from './credential.entity.js';

/** A credential as the API shows it: no secret, only what of it is enough to tell it by. */
export interface CredentialView {
  id: string;
  provider: string;
  type: string;
  name: string;
  scope: CredentialScope;
  owner_id: string;
  /** Readable values, and masks of secret ones. */
  credentials: Record<string, string>;
  hosts: string[];
  expires_at: string | null;
  is_expired: boolean;
  created_at: string;
  updated_at: string;
}

export function toView(row: Credential): CredentialView {
  return {
    id: row.id,
    provider: row.provider,
    type: row.type,
    name: row.name,
    scope: row.scope,
    owner_id: row.ownerId,
    credentials: { ...row.fields, ...row.masked },
    hosts: row.hosts,
    expires_at: row.expiresAt?.toISOString() ?? null,
    is_expired: isExpired(row),
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  };
}

export function isExpired({ expiresAt }: Pick<Credential, 'expiresAt'>): boolean {
  return expiresAt !== null && expiresAt.getTime() <= Date.now();
}

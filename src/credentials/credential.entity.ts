import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import { User } from '../tenancy/user.entity.js';
import type { SealedSecret } from './vault/secret-box.js';
import { TenantKey } from './vault/tenant-key.entity.js';

/** `user`: its owner's alone. `tenant`: every member uses it, admins change it. */
export type CredentialScope = 'user' | 'tenant';

@Entity('credentials')
@Index('uq_credentials_user', { synchronize: false })
@Index('uq_credentials_tenant', { synchronize: false })
@Index('ix_credentials_key', ['tenantId', 'keyVersion'])
@ForeignKey(() => User, ['tenantId', 'ownerId'], ['tenantId', 'id'], {
  name: 'fk_credentials_owner',
})
@ForeignKey(() => TenantKey, ['tenantId', 'keyVersion'], ['tenantId', 'version'], {
  name: 'fk_credentials_key',
})
@Check('ck_credentials_scope', `scope in ('user', 'tenant')`)
@Check('ck_credentials_name', 'length(name) between 1 and 100')
export class Credential {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_credentials' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_credentials' })
  id!: string;

  /** Id of the plugin. */
  @Column('text')
  provider!: string;

  /** Id of the credential type in the plugin's manifest. */
  @Column('text')
  type!: string;

  @Column('text')
  name!: string;

  @Column('text')
  scope!: CredentialScope;

  /** Whose it is; of a shared one, the admin who made it. */
  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  /** Values that aren't secret, by field. */
  @Column('jsonb')
  fields!: Record<string, string>;

  /** Ciphertexts, by field. */
  @Column('jsonb')
  secrets!: Record<string, SealedSecret>;

  /** What of each secret is shown, by field. */
  @Column('jsonb')
  masked!: Record<string, string>;

  /** The only places that its secrets are sent to. */
  @Column('text', { array: true })
  hosts!: string[];

  /** Of the tenant's data key that all its secrets are sealed with. */
  @Column('integer', { name: 'key_version' })
  keyVersion!: number;

  /** Raised by each change, so that a slower one can tell that it comes too late. */
  @Column('integer', { default: 1 })
  revision!: number;

  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt!: Date | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  /** When its owner last changed it; a new key changes nothing for people. */
  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}

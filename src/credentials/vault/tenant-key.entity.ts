import { Check, Column, CreateDateColumn, Entity, ForeignKey, PrimaryColumn } from 'typeorm';

import { Tenant } from '../../tenancy/tenant.entity.js';

/** One version of a tenant's data key; the highest seals, the others open what is still under them. */
@Entity('tenant_keys')
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_tenant_keys_tenant' })
@Check('ck_tenant_keys_version', 'version > 0')
export class TenantKey {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_tenant_keys' })
  tenantId!: string;

  @PrimaryColumn('integer', { primaryKeyConstraintName: 'pk_tenant_keys' })
  version!: number;

  /** Which root key wraps it: a fingerprint, not the key. */
  @Column('text', { name: 'root_key_id' })
  rootKeyId!: string;

  @Column('bytea', { name: 'wrapped_key' })
  wrappedKey!: Buffer;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

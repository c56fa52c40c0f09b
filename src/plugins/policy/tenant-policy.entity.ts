import type { Tier } from '@stepwell/plugin-sdk';
import { Check, Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';

import { Tenant } from '../../tenancy/tenant.entity.js';

/** What the operator lets a tenant use; written by `set_tenant_policy` alone. */
@Entity('tenant_policies')
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_tenant_policies_tenant' })
@Check('ck_tenant_policies_default', `default_rule in ('include', 'exclude')`)
@Check('ck_tenant_policies_tier_cap', `tier_cap in ('declarative', 'isolate', 'worker')`)
export class TenantPolicy {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_tenant_policies' })
  tenantId!: string;

  @Column('text', { name: 'default_rule' })
  defaultRule!: 'include' | 'exclude';

  @Column('text', { array: true })
  include!: string[];

  @Column('text', { array: true })
  exclude!: string[];

  @Column('text', { name: 'tier_cap' })
  tierCap!: Tier;

  @Column('text', { name: 'host_cap', array: true, nullable: true })
  hostCap!: string[] | null;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}

import { Check, Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';

import { Tenant } from '../../tenancy/tenant.entity.js';

/** The operator's share for a tenant; written by `set_tenant_share` alone. */
@Entity('tenant_shares')
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_tenant_shares_tenant' })
@Check('ck_tenant_shares_weight', `weight between 1 and 100`)
@Check('ck_tenant_shares_max_running', `max_running between 0 and 1000000`)
@Check('ck_tenant_shares_log_retention_days', `log_retention_days between 1 and 36500`)
export class TenantShare {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_tenant_shares' })
  tenantId!: string;

  /** So many runs begin when it is the tenant's turn. */
  @Column('integer')
  weight!: number;

  @Column('integer', { name: 'max_running', nullable: true })
  maxRunning!: number | null;

  /** For how long its executions are kept; null: for as long as those of others. */
  @Column('integer', { name: 'log_retention_days', nullable: true })
  logRetentionDays!: number | null;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}

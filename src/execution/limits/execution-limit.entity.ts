import { Check, Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';

import { Tenant } from '../../tenancy/tenant.entity.js';
import type { LimitKind } from './limit-kinds.js';

/** How many runs of a tenant that use one thing may be under way at a time, on all hosts together. */
@Entity('execution_limits')
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_execution_limits_tenant' })
@Check('ck_execution_limits_kind', `kind in ('plan', 'provider', 'credential', 'tenant')`)
@Check(
  'ck_execution_limits_subject',
  `length(subject) between 1 and 200 and (kind <> 'tenant' or subject = 'all')`,
)
@Check('ck_execution_limits_max_running', `max_running between 0 and 1000000`)
export class ExecutionLimit {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_execution_limits' })
  tenantId!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'pk_execution_limits' })
  kind!: LimitKind;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'pk_execution_limits' })
  subject!: string;

  @Column('integer', { name: 'max_running' })
  maxRunning!: number;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}

import {
  Check,
  Column,
  CreateDateColumn,
  Entity,
  ForeignKey,
  PrimaryColumn,
  Unique,
} from 'typeorm';

import type { Role } from '../common/ctx.js';
import { Tenant } from './tenant.entity.js';

@Entity('users')
@Unique('uq_users_external_id', ['tenantId', 'externalId'])
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_users_tenant' })
@Check('ck_users_role', `role in ('admin', 'user', 'viewer')`)
export class User {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_users' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_users' })
  id!: string;

  /** The name under which other systems know the user. */
  @Column('text', { name: 'external_id' })
  externalId!: string;

  @Column('text')
  name!: string;

  @Column('text')
  role!: Role;

  @Column('boolean', { name: 'is_operator', default: false })
  isOperator!: boolean;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  /** Since when the user's keys and sessions count no more. */
  @Column('timestamptz', { name: 'disabled_at', nullable: true })
  disabledAt!: Date | null;
}

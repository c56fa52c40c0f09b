import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import { Tenant } from '../tenancy/tenant.entity.js';
import { User } from '../tenancy/user.entity.js';

/** `private`: its owner and tenant admins. `tenant`: every member reads and runs it. */
export type Visibility = 'private' | 'tenant';

@Entity('plans')
@Index('ix_plans_owner', ['tenantId', 'ownerId'])
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_plans_tenant' })
@ForeignKey(() => User, ['tenantId', 'ownerId'], ['tenantId', 'id'], { name: 'fk_plans_owner' })
@Check('ck_plans_visibility', `visibility in ('private', 'tenant')`)
export class Plan {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_plans' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_plans' })
  id!: string;

  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  @Column('text')
  name!: string;

  @Column('text', { nullable: true })
  description!: string | null;

  @Column('text', { name: 'original_prompt', nullable: true })
  originalPrompt!: string | null;

  @Column('text', { default: 'private' })
  visibility!: Visibility;

  /** The current one; each change makes the next. */
  @Column('integer')
  version!: number;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;

  /** A deleted plan is hidden; its executions stay readable. */
  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt!: Date | null;
}

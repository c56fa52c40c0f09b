import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import { User } from '../user.entity.js';

@Entity('audit_log')
@Index('ix_audit_log_action', ['tenantId', 'action', 'id'])
@ForeignKey(() => User, ['tenantId', 'actorId'], ['tenantId', 'id'], { name: 'fk_audit_log_actor' })
@ForeignKey(() => User, ['tenantId', 'userId'], ['tenantId', 'id'], { name: 'fk_audit_log_user' })
@Check('ck_audit_log_outcome', `outcome in ('success', 'refused')`)
export class AuditEntry {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_audit_log' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_audit_log' })
  id!: string;

  /** Who acted: an admin who acts for a member, else the user. */
  @Column('uuid', { name: 'actor_id' })
  actorId!: string;

  @Column('uuid', { name: 'user_id' })
  userId!: string;

  @Column('text')
  action!: string;

  @Column('text', { name: 'subject_type', nullable: true })
  subjectType!: string | null;

  @Column('text', { name: 'subject_id', nullable: true })
  subjectId!: string | null;

  @Column('text')
  outcome!: 'success' | 'refused';

  @Column('jsonb')
  details!: Record<string, unknown>;

  @Column('text', { name: 'request_id', nullable: true })
  requestId!: string | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

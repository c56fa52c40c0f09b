import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import type { JsonValue } from '../../common/json.js';
import type { Visibility } from '../../plans/plan.entity.js';
import { Execution } from '../execution.entity.js';

/** A value that is too large for the row that it belongs to. */
@Entity('execution_blobs')
@Index('ix_execution_blobs_execution', ['tenantId', 'executionId'])
@ForeignKey(() => Execution, ['tenantId', 'executionId'], ['tenantId', 'id'], {
  name: 'fk_execution_blobs_execution',
  onDelete: 'CASCADE',
})
@Check('ck_execution_blobs_visibility', `visibility in ('private', 'tenant')`)
export class ExecutionBlob {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_execution_blobs' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_execution_blobs' })
  id!: string;

  @Column('uuid', { name: 'execution_id' })
  executionId!: string;

  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  @Column('text')
  visibility!: Visibility;

  /** Of its JSON text. */
  @Column('integer')
  bytes!: number;

  @Column('jsonb')
  value!: JsonValue;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

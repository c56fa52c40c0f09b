import {
  Check,
  Column,
  CreateDateColumn,
  Entity,
  ForeignKey,
  Index,
  PrimaryColumn,
  Unique,
} from 'typeorm';

import type { JsonValue } from '../../common/json.js';
import type { Visibility } from '../../plans/plan.entity.js';
import { Execution } from '../execution.entity.js';

export type WaitKind = 'timer' | 'callback' | 'approval' | 'plan';

/**
 * `elapsed`: its time has come, which ends a timer and fails the others. `cancelled`: its execution
 * ended before.
 */
export type WaitStatus = 'open' | 'resolved' | 'elapsed' | 'cancelled';

/** What a step, or an item of its `for_each`, waits for. Written by functions of the database alone. */
@Entity('execution_waits')
@Unique('uq_execution_waits_place', ['tenantId', 'executionId', 'stepId', 'iteration'])
@Index('ix_execution_waits_child', { synchronize: false })
@Index('ix_execution_waits_open', { synchronize: false })
@ForeignKey(() => Execution, ['tenantId', 'executionId'], ['tenantId', 'id'], {
  name: 'fk_execution_waits_execution',
  onDelete: 'CASCADE',
})
@Check('ck_execution_waits_visibility', `visibility in ('private', 'tenant')`)
@Check('ck_execution_waits_kind', `kind in ('timer', 'callback', 'approval', 'plan')`)
@Check('ck_execution_waits_status', `status in ('open', 'resolved', 'elapsed', 'cancelled')`)
export class ExecutionWait {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_execution_waits' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_execution_waits' })
  id!: string;

  @Column('uuid', { name: 'execution_id' })
  executionId!: string;

  @Column('uuid', { name: 'plan_id', nullable: true })
  planId!: string | null;

  /** The run-as user of its execution. */
  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  @Column('text')
  visibility!: Visibility;

  @Column('text', { name: 'step_id' })
  stepId!: string;

  @Column('integer')
  iteration!: number;

  /** Null: what it will wait for has happened before it came there. */
  @Column('integer', { nullable: true })
  attempt!: number | null;

  @Column('text')
  kind!: WaitKind;

  @Column('text')
  status!: WaitStatus;

  /** What an approval is about. */
  @Column('text', { nullable: true })
  message!: string | null;

  /** The execution that it waits for. */
  @Column('uuid', { name: 'child_id', nullable: true })
  childId!: string | null;

  @Column('timestamptz', { name: 'wake_at', nullable: true })
  wakeAt!: Date | null;

  /** What came from outside. */
  @Column('jsonb', { nullable: true })
  payload!: JsonValue;

  /** Who decided; null: whoever had the link. */
  @Column('uuid', { name: 'resolved_by', nullable: true })
  resolvedBy!: string | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;
}

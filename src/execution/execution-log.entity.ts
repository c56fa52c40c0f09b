import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { JsonObject, JsonValue } from '../common/json.js';
import type { StepError } from '../common/provider-result.js';
import type { Visibility } from '../plans/plan.entity.js';

/**
 * `started`: the intent, written before an effect. `waiting`: it rests until something happens outside.
 * `skipped`: its condition was false.
 */
export type AttemptStatus = 'started' | 'waiting' | 'success' | 'error' | 'skipped';

/**
 * The journal: one row per attempt of a step. In partitions of a week, by when the execution began; why
 * nothing but the functions that write it ties it to executions, is told in the migration.
 */
@Entity('execution_logs')
@Index('ix_execution_logs_newest', { synchronize: false })
@Index('ix_execution_logs_plan', { synchronize: false })
@Index('ix_execution_logs_provider', { synchronize: false })
@Check('ck_execution_logs_visibility', `visibility in ('private', 'tenant')`)
@Check(
  'ck_execution_logs_status',
  `status in ('started', 'waiting', 'success', 'error', 'skipped')`,
)
export class ExecutionLog {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_execution_logs' })
  tenantId!: string;

  @Column('uuid')
  id!: string;

  @PrimaryColumn('uuid', {
    name: 'execution_id',
    primaryKeyConstraintName: 'pk_execution_logs',
  })
  executionId!: string;

  @Column('uuid', { name: 'plan_id', nullable: true })
  planId!: string | null;

  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  @Column('text')
  visibility!: Visibility;

  @PrimaryColumn('text', { name: 'step_id', primaryKeyConstraintName: 'pk_execution_logs' })
  stepId!: string;

  /** 0; of a step with `for_each` the place of an item in its list, or -1 for the step as a whole. */
  @PrimaryColumn('integer', { default: 0, primaryKeyConstraintName: 'pk_execution_logs' })
  iteration!: number;

  @PrimaryColumn('integer', { primaryKeyConstraintName: 'pk_execution_logs' })
  attempt!: number;

  @Column('text')
  provider!: string;

  @Column('text')
  action!: string;

  @Column('text')
  version!: string;

  @Column('text')
  status!: AttemptStatus;

  @Column('jsonb', { nullable: true })
  input!: JsonValue;

  @Column('jsonb', { nullable: true })
  output!: JsonValue;

  /** Where they are too large for this row. */
  @Column('uuid', { name: 'input_blob', nullable: true })
  inputBlob!: string | null;

  @Column('uuid', { name: 'output_blob', nullable: true })
  outputBlob!: string | null;

  @Column('text', { nullable: true })
  message!: string | null;

  @Column('jsonb', { nullable: true })
  metadata!: JsonObject | null;

  @Column('jsonb', { nullable: true })
  error!: StepError | null;

  @Column('integer', { name: 'latency_ms', nullable: true })
  latencyMs!: number | null;

  @Column('timestamptz', { name: 'started_at' })
  startedAt!: Date;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}

import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import type { JsonValue } from '../common/json.js';
import type { StepError } from '../common/provider-result.js';
import { Plan, type Visibility } from '../plans/plan.entity.js';
import { Tenant } from '../tenancy/tenant.entity.js';
import { User } from '../tenancy/user.entity.js';
import type { ExecutionStatus } from './execution-status.js';
import type { RunDefinition } from './run-store.js';

@Entity('executions')
@Index('ix_executions_plan', ['tenantId', 'planId', 'id'])
@Index('ix_executions_unfinished', { synchronize: false })
@Index('ix_executions_held', { synchronize: false })
@Index('ix_executions_queued', { synchronize: false })
@Index('ix_executions_pausing', { synchronize: false })
@Index('uq_executions_idempotency_key', { synchronize: false })
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_executions_tenant' })
@ForeignKey(() => Plan, ['tenantId', 'planId'], ['tenantId', 'id'], { name: 'fk_executions_plan' })
@ForeignKey(() => User, ['tenantId', 'ownerId'], ['tenantId', 'id'], {
  name: 'fk_executions_owner',
})
@ForeignKey(() => Execution, ['tenantId', 'originId'], ['tenantId', 'id'], {
  name: 'fk_executions_origin',
})
@Check('ck_executions_visibility', `visibility in ('private', 'tenant')`)
@Check(
  'ck_executions_status',
  `status in ('queued', 'running', 'waiting', 'paused', 'success', 'error', 'cancelled')`,
)
export class Execution {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_executions' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_executions' })
  id!: string;

  /** Null for inline plans and single steps. */
  @Column('uuid', { name: 'plan_id', nullable: true })
  planId!: string | null;

  @Column('integer', { name: 'plan_version', nullable: true })
  planVersion!: number | null;

  @Column('jsonb')
  definition!: RunDefinition;

  /** The run-as user. */
  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  @Column('text')
  visibility!: Visibility;

  @Column('text')
  status!: ExecutionStatus;

  @Column('text')
  trigger!: string;

  @Column('jsonb')
  input!: JsonValue;

  @Column('jsonb', { nullable: true })
  output!: JsonValue;

  @Column('jsonb', { nullable: true })
  error!: StepError | null;

  /** Somebody asked the host that walks it to stop at the next step. */
  @Column('boolean', { name: 'pause_requested', default: false })
  pauseRequested!: boolean;

  /** Failures that somebody asked to try again; see LeasedRun. */
  @Column('jsonb', { nullable: true })
  forgiven!: Record<string, number> | null;

  /** The execution that it repeats, all of it or from a step on. */
  @Column('uuid', { name: 'origin_id', nullable: true })
  originId!: string | null;

  @Column('text', { name: 'idempotency_key', nullable: true })
  idempotencyKey!: string | null;

  @Column('text', { name: 'request_hash', nullable: true })
  requestHash!: string | null;

  @Column('uuid', { name: 'host_id', nullable: true })
  hostId!: string | null;

  @Column('integer', { name: 'lease_epoch', default: 0 })
  leaseEpoch!: number;

  /** From hosts that had died, since it was queued last. */
  @Column('integer', { default: 0 })
  takeovers!: number;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt!: Date | null;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}

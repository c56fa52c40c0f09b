import { Check, Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import type { JsonObject, JsonValue } from '../common/json.js';
import type { StepError } from '../common/provider-result.js';
import { Plan, type Visibility } from '../plans/plan.entity.js';
import { Tenant } from '../tenancy/tenant.entity.js';
import { User } from '../tenancy/user.entity.js';
import type { ExecutionStatus } from './execution-status.js';
import type { RunDefinition } from './run-store.js';

@Entity('executions')
@Index('ix_executions_plan', ['planId', 'tenantId', 'id'])
@Index('ix_executions_running', { synchronize: false })
@Index('ix_executions_demands', { synchronize: false })
@Index('ix_executions_held', { synchronize: false })
@Index('ix_executions_queued', { synchronize: false })
@Index('ix_executions_pausing', { synchronize: false })
@Index('ix_executions_waking', { synchronize: false })
@Index('ix_executions_parent', { synchronize: false })
@Index('ix_executions_owing', { synchronize: false })
@Index('ix_executions_origin', { synchronize: false })
@Index('ix_executions_status', { synchronize: false })
@Index('uq_executions_idempotency_key', { synchronize: false })
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_executions_tenant' })
@ForeignKey(() => Plan, ['tenantId', 'planId'], ['tenantId', 'id'], { name: 'fk_executions_plan' })
@ForeignKey(() => User, ['tenantId', 'ownerId'], ['tenantId', 'id'], {
  name: 'fk_executions_owner',
})
@ForeignKey(() => Execution, ['tenantId', 'originId'], ['tenantId', 'id'], {
  name: 'fk_executions_origin',
  onDelete: 'SET NULL',
})
@ForeignKey(() => Execution, ['tenantId', 'parentId'], ['tenantId', 'id'], {
  name: 'fk_executions_parent',
  onDelete: 'SET NULL',
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

  /** What `trigger` reads in references; null where nothing but a request started it. */
  @Column('jsonb', { name: 'trigger_data', nullable: true })
  triggerData!: JsonObject | null;

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

  /** The execution one of whose steps runs this plan. */
  @Column('uuid', { name: 'parent_id', nullable: true })
  parentId!: string | null;

  /** How many executions stand above it. */
  @Column('integer', { default: 0 })
  depth!: number;

  /** It has ended, and the execution above it was not told yet. */
  @Column('boolean', { name: 'owes_parent', default: false, select: false })
  owesParent!: boolean;

  /** Its output, where that is too large for this row. */
  @Column('uuid', { name: 'output_blob', nullable: true })
  outputBlob!: string | null;

  /** While it waits: when it goes on by itself, at the latest. */
  @Column('timestamptz', { name: 'wake_at', nullable: true })
  wakeAt!: Date | null;

  /** Something that one of its waits was for has happened while a host walked it. */
  @Column('boolean', { name: 'wake_requested', default: false })
  wakeRequested!: boolean;

  /** Whether any of its steps ever waited. */
  @Column('boolean', { name: 'has_waits', default: false })
  hasWaits!: boolean;

  /** What it counts against while it runs, by which it may have to wait; null until it queues first. */
  @Column('text', { array: true, nullable: true, select: false })
  demands!: string[] | null;

  @Column('uuid', { name: 'demand_key', nullable: true, select: false })
  demandKey!: string | null;

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

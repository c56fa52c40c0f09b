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

import type { JsonValue } from '../common/json.js';
import { Plan } from '../plans/plan.entity.js';
import { User } from '../tenancy/user.entity.js';
import type { StopReason } from './stop-reason.js';

/** What happens to a time that comes due while a run of the schedule before it hasn't ended. */
export type Overlap = 'skip' | 'queue' | 'allow' | 'cancel';

/** What happens to times that nobody was there for; see due-times.ts. */
export type CatchUp = 'none' | 'last' | 'all';

/** `ended`: it names no time any more. `error`: it stopped by itself, and says why. */
export type ScheduleStatus = 'active' | 'paused' | 'ended' | 'error';

@Entity('schedules')
@Unique('uq_schedules_plan', ['tenantId', 'planId'])
@Index('ix_schedules_due', { synchronize: false })
@ForeignKey(() => Plan, ['tenantId', 'planId'], ['tenantId', 'id'], { name: 'fk_schedules_plan' })
@ForeignKey(() => User, ['tenantId', 'ownerId'], ['tenantId', 'id'], {
  name: 'fk_schedules_owner',
})
@Check('ck_schedules_when', 'num_nonnulls(cron, every_seconds, at) = 1')
@Check('ck_schedules_overlap', `overlap in ('skip', 'queue', 'allow', 'cancel')`)
@Check('ck_schedules_catch_up', `catch_up in ('none', 'last', 'all')`)
@Check('ck_schedules_status', `status in ('active', 'paused', 'ended', 'error')`)
@Check(
  'ck_schedules_due',
  `(next_fire_at is null) = (due_at is null) and (status = 'active') = (due_at is not null)`,
)
export class Schedule {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_schedules' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_schedules' })
  id!: string;

  @Column('uuid', { name: 'plan_id' })
  planId!: string;

  /** The run-as user: who enabled it last. */
  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  /** The version of the plan that he enabled it for. */
  @Column('integer', { name: 'plan_version' })
  planVersion!: number;

  @Column('text', { nullable: true })
  cron!: string | null;

  @Column('integer', { name: 'every_seconds', nullable: true })
  everySeconds!: number | null;

  @Column('timestamptz', { nullable: true })
  at!: Date | null;

  /** IANA name. */
  @Column('text')
  timezone!: string;

  /** Where the grid of `everySeconds` begins. */
  @Column('timestamptz', { name: 'anchor_at' })
  anchorAt!: Date;

  @Column('timestamptz', { name: 'starts_at', nullable: true })
  startsAt!: Date | null;

  /** Exclusive. */
  @Column('timestamptz', { name: 'ends_at', nullable: true })
  endsAt!: Date | null;

  @Column('text')
  overlap!: Overlap;

  @Column('text', { name: 'catch_up' })
  catchUp!: CatchUp;

  @Column('integer', { name: 'catch_up_seconds' })
  catchUpSeconds!: number;

  @Column('integer', { name: 'jitter_seconds' })
  jitterSeconds!: number;

  @Column('jsonb')
  input!: JsonValue;

  @Column('text')
  status!: ScheduleStatus;

  /** Why it stopped by itself. */
  @Column('jsonb', { nullable: true })
  error!: StopReason | null;

  /** The next time that it names. Null: none is left, or it rests. */
  @Column('timestamptz', { name: 'next_fire_at', nullable: true })
  nextFireAt!: Date | null;

  /** That time with its jitter: when the database's clock says so, it fires. */
  @Column('timestamptz', { name: 'due_at', nullable: true })
  dueAt!: Date | null;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}

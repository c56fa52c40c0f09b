import { Check, Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import { Execution } from '../execution/execution.entity.js';
import { Schedule } from './schedule.entity.js';

/**
 * `waiting`: queued behind the run before it. `skipped`: that run hadn't ended. `missed`: nobody was
 * there to run it in time.
 */
export type FireOutcome = 'started' | 'waiting' | 'skipped' | 'missed';

/** One row per time that a schedule came due: whatever happens, no time counts twice. */
@Entity('schedule_fires')
@Index('ix_schedule_fires_waiting', { synchronize: false })
@Index('ix_schedule_fires_execution', { synchronize: false })
@ForeignKey(() => Schedule, ['tenantId', 'scheduleId'], ['tenantId', 'id'], {
  name: 'fk_schedule_fires_schedule',
  onDelete: 'CASCADE',
})
@ForeignKey(() => Execution, ['tenantId', 'executionId'], ['tenantId', 'id'], {
  name: 'fk_schedule_fires_execution',
  onDelete: 'SET NULL',
})
@Check('ck_schedule_fires_outcome', `outcome in ('started', 'waiting', 'skipped', 'missed')`)
export class ScheduleFire {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_schedule_fires' })
  tenantId!: string;

  @PrimaryColumn('uuid', { name: 'schedule_id', primaryKeyConstraintName: 'pk_schedule_fires' })
  scheduleId!: string;

  /** The time that the schedule names, without jitter. */
  @PrimaryColumn('timestamptz', {
    name: 'nominal_at',
    primaryKeyConstraintName: 'pk_schedule_fires',
  })
  nominalAt!: Date;

  @Column('timestamptz', { name: 'fired_at', default: () => 'now()' })
  firedAt!: Date;

  @Column('text')
  outcome!: FireOutcome;

  @Column('uuid', { name: 'execution_id', nullable: true })
  executionId!: string | null;

  /** Why there is no run. */
  @Column('text', { nullable: true })
  reason!: string | null;
}

import { Column, CreateDateColumn, Entity, ForeignKey, PrimaryColumn } from 'typeorm';

import { Plan } from './plan.entity.js';
import type { Pins } from './pins.js';
import type { StepDefinition } from './rules/plan-definition.js';

@Entity('plan_versions')
@ForeignKey(() => Plan, ['tenantId', 'planId'], ['tenantId', 'id'], {
  name: 'fk_plan_versions_plan',
})
export class PlanVersion {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_plan_versions' })
  tenantId!: string;

  @PrimaryColumn('uuid', { name: 'plan_id', primaryKeyConstraintName: 'pk_plan_versions' })
  planId!: string;

  @PrimaryColumn('integer', { primaryKeyConstraintName: 'pk_plan_versions' })
  version!: number;

  @Column('jsonb')
  steps!: StepDefinition[];

  @Column('jsonb')
  pins!: Pins;

  @Column('uuid', { name: 'created_by' })
  createdBy!: string;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

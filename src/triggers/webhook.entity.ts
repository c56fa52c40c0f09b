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

import { Plan } from '../plans/plan.entity.js';
import { User } from '../tenancy/user.entity.js';

/** `ack`: at once, with the id of the execution. `last_step`: with the plan's output. */
export type WebhookRespond = 'ack' | 'last_step';

@Entity('webhooks')
@Unique('uq_webhooks_path', ['path'])
@Index('ix_webhooks_plan', ['tenantId', 'planId', 'id'])
@ForeignKey(() => Plan, ['tenantId', 'planId'], ['tenantId', 'id'], { name: 'fk_webhooks_plan' })
@ForeignKey(() => User, ['tenantId', 'ownerId'], ['tenantId', 'id'], { name: 'fk_webhooks_owner' })
@Check('ck_webhooks_path', 'length(path) between 1 and 200')
@Check('ck_webhooks_respond', `respond in ('ack', 'last_step')`)
export class Webhook {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_webhooks' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_webhooks' })
  id!: string;

  @Column('uuid', { name: 'plan_id' })
  planId!: string;

  /** The run-as user: who made it. */
  @Column('uuid', { name: 'owner_id' })
  ownerId!: string;

  /** The version of the plan that he made it for. */
  @Column('integer', { name: 'plan_version' })
  planVersion!: number;

  /** What follows /api/webhook/; unique over the whole installation. */
  @Column('text')
  path!: string;

  @Column('text')
  respond!: WebhookRespond;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

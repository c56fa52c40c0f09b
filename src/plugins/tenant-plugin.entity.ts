import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';

import { Tenant } from '../tenancy/tenant.entity.js';
import type { Permissions } from './policy/permissions.js';
import { Plugin } from './plugin.entity.js';

/** What a tenant decided about a plugin. Without a row, first-party plugins are on, others off. */
@Entity('tenant_plugins')
@ForeignKey(() => Tenant, ['tenantId'], ['id'], { name: 'fk_tenant_plugins_tenant' })
@ForeignKey(() => Plugin, ['pluginId'], ['id'], { name: 'fk_tenant_plugins_plugin' })
export class TenantPlugin {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_tenant_plugins' })
  tenantId!: string;

  @PrimaryColumn('text', { name: 'plugin_id', primaryKeyConstraintName: 'pk_tenant_plugins' })
  pluginId!: string;

  @Column('boolean')
  enabled!: boolean;

  /** Null: every action. */
  @Column('text', { name: 'allowed_actions', array: true, nullable: true })
  allowedActions!: string[] | null;

  /** Null: no cap. Empty: no host at all. */
  @Column('text', { name: 'host_cap', array: true, nullable: true })
  hostCap!: string[] | null;

  /** What the tenant agreed to; a version that asks for more isn't used. */
  @Column('jsonb', { nullable: true })
  consented!: Permissions | null;

  @Column('uuid', { name: 'updated_by', nullable: true })
  updatedBy!: string | null;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt!: Date;
}

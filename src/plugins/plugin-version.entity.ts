import type { PluginManifest } from '@stepwell/plugin-sdk';
import { Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import { PluginBundle } from './plugin-bundle.entity.js';
import { Plugin } from './plugin.entity.js';

@Entity('plugin_versions')
@Index('uq_plugin_versions_current', { synchronize: false })
@ForeignKey(() => Plugin, ['pluginId'], ['id'], { name: 'fk_plugin_versions_plugin' })
@ForeignKey(() => PluginBundle, ['bundleDigest'], ['digest'], { name: 'fk_plugin_versions_bundle' })
export class PluginVersion {
  /** `sha256-<hex>` of the canonical manifest, which holds the digest of the bundle. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'pk_plugin_versions' })
  digest!: string;

  @Column('text', { name: 'plugin_id' })
  pluginId!: string;

  @Column('text')
  version!: string;

  @Column('jsonb')
  manifest!: PluginManifest;

  @Column('text', { name: 'bundle_digest' })
  bundleDigest!: string;

  /** New saves of plans pin it; older digests stay for the plans that pinned them. */
  @Column('boolean', { name: 'is_current' })
  isCurrent!: boolean;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

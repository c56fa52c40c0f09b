import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

@Entity('plugin_bundles')
export class PluginBundle {
  /** `sha256-<hex>` of the source. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'pk_plugin_bundles' })
  digest!: string;

  @Column('text')
  source!: string;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

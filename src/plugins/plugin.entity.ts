import { Check, Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/** `first_party`: ships with the host. `operator`: listed in STEPWELL_PLUGINS. */
export type PluginOrigin = 'first_party' | 'operator';

@Entity('plugins')
@Check('ck_plugins_origin', `origin in ('first_party', 'operator')`)
export class Plugin {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'pk_plugins' })
  id!: string;

  /** npm package that holds the id: the first one approved keeps it. */
  @Column('text')
  package!: string;

  @Column('text')
  origin!: PluginOrigin;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

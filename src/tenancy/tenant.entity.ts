import { Check, Column, CreateDateColumn, Entity, PrimaryColumn, Unique } from 'typeorm';

@Entity('tenants')
@Unique('uq_tenants_name', ['name'])
@Check('ck_tenants_name', 'length(name) between 1 and 200')
export class Tenant {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_tenants' })
  id!: string;

  @Column('text')
  name!: string;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;
}

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

import type { Permission } from '../common/ctx.js';
import { User } from './user.entity.js';

@Entity('api_keys')
@Unique('uq_api_keys_hash', ['tenantId', 'keyHash'])
@Index('ix_api_keys_hash', ['keyHash'])
@ForeignKey(() => User, ['tenantId', 'userId'], ['tenantId', 'id'], { name: 'fk_api_keys_user' })
@Check('ck_api_keys_permissions', 'cardinality(permissions) > 0')
export class ApiKey {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_api_keys' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_api_keys' })
  id!: string;

  @Column('uuid', { name: 'user_id' })
  userId!: string;

  @Column('text')
  name!: string;

  @Column('text')
  prefix!: string;

  /** SHA-256 in hex; the key itself is shown once and never stored. */
  @Column('text', { name: 'key_hash' })
  keyHash!: string;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt!: Date | null;

  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt!: Date | null;

  /** Null: all that the user has. What is listed is cut by that whenever the key is used. */
  @Column('text', { array: true, nullable: true })
  permissions!: Permission[] | null;
}

import { Column, CreateDateColumn, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';

import { ApiKey } from '../api-key.entity.js';
import { User } from '../user.entity.js';

/** What a session token stands for: the token says who it is, the row whether it still counts. */
@Entity('sessions')
@Index('ix_sessions_id', ['id'])
@Index('ix_sessions_user', ['tenantId', 'userId'])
@Index('ix_sessions_api_key', ['tenantId', 'apiKeyId'])
@ForeignKey(() => User, ['tenantId', 'userId'], ['tenantId', 'id'], { name: 'fk_sessions_user' })
@ForeignKey(() => ApiKey, ['tenantId', 'apiKeyId'], ['tenantId', 'id'], {
  name: 'fk_sessions_api_key',
})
export class Session {
  @PrimaryColumn('uuid', { name: 'tenant_id', primaryKeyConstraintName: 'pk_sessions' })
  tenantId!: string;

  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_sessions' })
  id!: string;

  @Column('uuid', { name: 'user_id' })
  userId!: string;

  /** The key that it was begun with: its permissions hold, and the session ends with it. */
  @Column('uuid', { name: 'api_key_id' })
  apiKeyId!: string;

  @CreateDateColumn({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;

  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt!: Date | null;
}

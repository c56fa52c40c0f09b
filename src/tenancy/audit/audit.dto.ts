import { IsIn, IsOptional, IsString, Length } from 'class-validator';

import { IsTimestamp } from '../../common/http/is-timestamp.decorator.js';
import { ListQuery } from '../../common/http/list-query.dto.js';
import { AUDIT_ACTIONS, type AuditAction } from './audit-event.js';

export class ListAuditQuery extends ListQuery {
  @IsOptional()
  @IsIn(AUDIT_ACTIONS)
  action?: AuditAction;

  /** Id or external id: what the user did, and what was done as that user. */
  @IsOptional()
  @IsString()
  @Length(1, 200)
  user_id?: string;

  /** At this time or later. */
  @IsOptional()
  @IsTimestamp()
  from?: string;

  /** Before this time. */
  @IsOptional()
  @IsTimestamp()
  to?: string;
}

import { IsBoolean, IsIn, IsOptional, IsString, IsUUID, MaxLength } from 'class-validator';

import { ListQuery } from '../../common/http/list-query.dto.js';
import type { WaitKind } from './execution-wait.entity.js';

const KINDS = ['timer', 'callback', 'approval', 'plan'] as const satisfies WaitKind[];
const MAX_COMMENT_CHARS = 2_000;

/** What is posted to the link of an approval. */
export class DecisionDto {
  @IsBoolean({ message: 'approved must be true or false' })
  approved!: boolean;

  @IsOptional()
  @IsString()
  @MaxLength(MAX_COMMENT_CHARS)
  comment?: string | null;
}

export class ListWaitsQuery extends ListQuery {
  @IsOptional()
  @IsUUID()
  execution_id?: string;

  @IsOptional()
  @IsUUID()
  plan_id?: string;

  @IsOptional()
  @IsIn(KINDS)
  kind?: WaitKind;
}

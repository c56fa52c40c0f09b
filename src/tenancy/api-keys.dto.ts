import {
  ArrayNotEmpty,
  IsArray,
  IsIn,
  IsOptional,
  IsString,
  Length,
  Matches,
} from 'class-validator';

import { PERMISSIONS, type Permission } from '../common/ctx.js';
import { IsTimestamp } from '../common/http/is-timestamp.decorator.js';
import { ListQuery } from '../common/http/list-query.dto.js';

/** Null is what a list shows for none: the same as left out. */
export class CreateApiKeyDto {
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, { message: 'name must not be blank' })
  name!: string;

  /** Id or external id of a member; default: the caller. */
  @IsOptional()
  @IsString()
  @Length(1, 200)
  user_id?: string | null;

  /** Default: all that the user has. */
  @IsOptional()
  @IsArray()
  @ArrayNotEmpty()
  @IsIn(PERMISSIONS, { each: true })
  permissions?: Permission[] | null;

  @IsOptional()
  @IsTimestamp()
  expires_at?: string | null;
}

export class ListApiKeysQuery extends ListQuery {
  /** Id or external id. */
  @IsOptional()
  @IsString()
  @Length(1, 200)
  user_id?: string;
}

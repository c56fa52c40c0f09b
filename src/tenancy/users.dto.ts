import { IsBoolean, IsIn, IsOptional, IsString, Length, Matches } from 'class-validator';

import type { Role } from '../common/ctx.js';
import { ListQuery } from '../common/http/list-query.dto.js';

const ROLES = ['admin', 'user', 'viewer'] as const satisfies Role[];

export class CreateUserDto {
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, { message: 'external_id must not be blank' })
  external_id!: string;

  /** Default: the external id. */
  @IsOptional()
  @IsString()
  @Length(1, 200)
  name?: string;

  @IsOptional()
  @IsIn(ROLES)
  role?: Role;
}

/** What is left out stays as it is. */
export class UpdateUserDto {
  @IsOptional()
  @IsString()
  @Length(1, 200)
  name?: string;

  @IsOptional()
  @IsIn(ROLES)
  role?: Role;

  @IsOptional()
  @IsBoolean()
  disabled?: boolean;
}

export class ListUsersQuery extends ListQuery {
  @IsOptional()
  @IsString()
  @Length(1, 200)
  external_id?: string;
}

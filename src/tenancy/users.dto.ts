import { IsBoolean, IsIn, IsOptional, IsString, Length, Matches } from 'class-validator';

import type { Role } from '../common/ctx.js';
import { IsOmittable } from '../common/http/is-omittable.decorator.js';
import { ListQuery } from '../common/http/list-query.dto.js';

const ROLES = ['admin', 'user', 'viewer'] as const satisfies Role[];

export class CreateUserDto {
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, { message: 'external_id must not be blank' })
  external_id!: string;

  /** Default: the external id. */
  @IsOmittable()
  @IsString()
  @Length(1, 200)
  name?: string;

  @IsOmittable()
  @IsIn(ROLES)
  role?: Role;
}

/** What is left out stays as it is. */
export class UpdateUserDto {
  @IsOmittable()
  @IsString()
  @Length(1, 200)
  name?: string;

  @IsOmittable()
  @IsIn(ROLES)
  role?: Role;

  @IsOmittable()
  @IsBoolean()
  disabled?: boolean;
}

export class ListUsersQuery extends ListQuery {
  @IsOptional()
  @IsString()
  @Length(1, 200)
  external_id?: string;
}

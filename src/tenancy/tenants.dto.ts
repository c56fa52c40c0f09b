import { IsString, Length, Matches } from 'class-validator';

import { IsOmittable } from '../common/http/is-omittable.decorator.js';
import { ListQuery } from '../common/http/list-query.dto.js';

export class CreateTenantDto {
  @IsString()
  @Length(1, 200)
  @Matches(/^[^\s,@].*$/u, { message: 'name must not begin with a space, a comma or @' })
  name!: string;

  /** External id of its first admin. */
  @IsOmittable()
  @IsString()
  @Length(1, 200)
  admin_user?: string;
}

export class ListTenantsQuery extends ListQuery {}

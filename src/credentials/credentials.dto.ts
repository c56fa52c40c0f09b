import { IsIn, IsObject, IsOptional, IsString, Length, Matches, MaxLength } from 'class-validator';

import { AsIs } from '../common/http/as-is.decorator.js';
import { IsOmittable } from '../common/http/is-omittable.decorator.js';
import { IsTimestamp } from '../common/http/is-timestamp.decorator.js';
import { ListQuery } from '../common/http/list-query.dto.js';
import type { CredentialScope } from './credential.entity.js';

const SCOPES = ['user', 'tenant'] as const satisfies CredentialScope[];
/** Steps name credentials by name or by id: no name looks like an id. */
const NAME =
  /^(?![0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$)[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} ._@+-]*[\p{L}\p{M}\p{N}])?$/iu;
const NAME_MESSAGE =
  'name must begin and end with a letter or digit, may hold spaces and ._@+- between them, and must not look like an id';

export class StoreCredentialDto {
  /** Every field of the credential: what is left out is gone, or has its default. */
  @IsObject()
  @AsIs()
  credentials!: Record<string, unknown>;

  /** Id of the credential type; default: the first one of the provider. */
  @IsOmittable()
  @IsString()
  @MaxLength(64)
  type?: string;

  @IsOmittable()
  @IsString()
  @Length(1, 100)
  @Matches(NAME, { message: NAME_MESSAGE })
  name?: string;

  @IsOmittable()
  @IsIn(SCOPES)
  scope?: CredentialScope;

  @IsOptional()
  @IsTimestamp()
  expires_at?: string | null;
}

export class CredentialQuery {
  @IsOmittable()
  @IsString()
  @Length(1, 100)
  name?: string;

  @IsOmittable()
  @IsIn(SCOPES)
  scope?: CredentialScope;
}

export class ListCredentialsQuery extends ListQuery {
  @IsOmittable()
  @IsString()
  @MaxLength(64)
  provider?: string;
}

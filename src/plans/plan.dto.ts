import {
  IsArray,
  IsIn,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Matches,
  MaxLength,
  ValidateIf,
} from 'class-validator';

import { AsIs } from '../common/http/as-is.decorator.js';
import { IsTimestamp } from '../common/http/is-timestamp.decorator.js';
import { ListQuery } from '../common/http/list-query.dto.js';
import type { Visibility } from './plan.entity.js';

const VISIBILITIES = ['private', 'tenant'] as const satisfies Visibility[];

export class CreatePlanDto {
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, { message: 'name must not be blank' })
  name!: string;

  @IsOptional()
  @IsString()
  @MaxLength(10_000)
  description?: string;

  @IsOptional()
  @IsString()
  @MaxLength(100_000)
  original_prompt?: string;

  @IsOptional()
  @IsIn(VISIBILITIES)
  visibility?: Visibility;

  @ValidateIf((body: CreatePlanDto) => body.nodes === undefined)
  @IsArray()
  @AsIs()
  steps!: unknown[];

  /** The form of nodes and edges: the rules of plans say what is to be said of it. */
  @IsOptional()
  @AsIs()
  nodes?: unknown;

  @IsOptional()
  @AsIs()
  edges?: unknown;
}

/** What is left out stays as it is. */
export class UpdatePlanDto {
  @IsOptional()
  @IsString()
  @Length(1, 200)
  @Matches(/\S/, { message: 'name must not be blank' })
  name?: string;

  @IsOptional()
  @IsString()
  @MaxLength(10_000)
  description?: string | null;

  @IsOptional()
  @IsString()
  @MaxLength(100_000)
  original_prompt?: string | null;

  @IsOptional()
  @IsIn(VISIBILITIES)
  visibility?: Visibility;

  @IsOptional()
  @IsArray()
  @AsIs()
  steps?: unknown[];

  @IsOptional()
  @AsIs()
  nodes?: unknown;

  @IsOptional()
  @AsIs()
  edges?: unknown;
}

export class ListPlansQuery extends ListQuery {
  /** Part of the name, in any case. */
  @IsOptional()
  @IsString()
  @MaxLength(200)
  name?: string;

  /** Plans with a step of this provider. */
  @IsOptional()
  @IsString()
  @MaxLength(64)
  provider?: string;

  /** Plans with a schedule, or without one. */
  @IsOptional()
  @IsIn(['true', 'false'])
  scheduled?: 'true' | 'false';

  @IsOptional()
  @IsUUID()
  owner?: string;

  @IsOptional()
  @IsTimestamp()
  updated_after?: string;
}

import type { Tier } from '@stepwell/plugin-sdk';
import { ArrayMaxSize, IsArray, IsIn, IsOptional, IsString, MaxLength } from 'class-validator';

import { MAX_CAPPED_HOSTS } from './host-cap.js';
import type { OperatorPolicy } from './operator-policy.js';
import { TIERS } from './permissions.js';

const MAX_IDS = 1000;

/** The whole policy: what is left out takes its default. */
export class SetPolicyDto {
  @IsOptional()
  @IsIn(['include', 'exclude'] satisfies OperatorPolicy['default'][])
  default?: OperatorPolicy['default'];

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_IDS)
  @IsString({ each: true })
  @MaxLength(64, { each: true })
  include?: string[];

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_IDS)
  @IsString({ each: true })
  @MaxLength(64, { each: true })
  exclude?: string[];

  @IsOptional()
  @IsIn(TIERS)
  tier_cap?: Tier;

  /** Null: no cap. Empty: no host at all. */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_CAPPED_HOSTS)
  @IsString({ each: true })
  @MaxLength(255, { each: true })
  host_cap?: string[] | null;
}

import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

import { AsIs } from '../common/http/as-is.decorator.js';
import { IsTimestamp } from '../common/http/is-timestamp.decorator.js';
import type { JsonValue } from '../common/json.js';
import type { CatchUp, Overlap } from './schedule.entity.js';

const OVERLAPS = ['skip', 'queue', 'allow', 'cancel'] as const satisfies Overlap[];
const CATCH_UPS = ['none', 'last', 'all'] as const satisfies CatchUp[];

const YEAR_SECONDS = 31_536_000;
const MONTH_SECONDS = 2_592_000;
const DAY_SECONDS = 86_400;

/** Exactly one of `cron`, `every_seconds` and `at`; what they mean together is checked later. */
export class PutScheduleDto {
  @IsOptional()
  @IsString()
  @MaxLength(200)
  cron?: string;

  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(YEAR_SECONDS)
  every_seconds?: number;

  @IsOptional()
  @IsTimestamp()
  at?: string;

  @IsOptional()
  @IsString()
  @MaxLength(100)
  timezone?: string;

  @IsOptional()
  @IsIn(OVERLAPS)
  overlap?: Overlap;

  @IsOptional()
  @IsIn(CATCH_UPS)
  catch_up?: CatchUp;

  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MONTH_SECONDS)
  catch_up_seconds?: number;

  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(DAY_SECONDS)
  jitter_seconds?: number;

  @IsOptional()
  @AsIs()
  input?: JsonValue;

  @IsOptional()
  @IsTimestamp()
  starts_at?: string;

  @IsOptional()
  @IsTimestamp()
  ends_at?: string;
}

export class PreviewQuery {
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(100)
  n: number = 10;
}

import { IsInt, IsOptional, Max, Min } from 'class-validator';

const MOST_RUNNING = 1_000_000;
/** A hundred years. */
const MOST_RETENTION_DAYS = 36_500;

export class SetLimitDto {
  /** 0: none begins. */
  @IsInt()
  @Min(0)
  @Max(MOST_RUNNING)
  max_running!: number;
}

/** The whole share: what is left out takes its default. */
export class SetShareDto {
  /** Null: no limit. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(MOST_RUNNING)
  max_running?: number | null;

  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(100)
  weight?: number;

  /** Null: as the operator has it for all tenants. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MOST_RETENTION_DAYS)
  log_retention_days?: number | null;
}

import { IsInt, IsOptional, Max, Min } from 'class-validator';

const MOST_RUNNING = 1_000_000;

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
}

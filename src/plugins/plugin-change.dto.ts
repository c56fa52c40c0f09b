import { ArrayMaxSize, IsArray, IsBoolean, IsOptional, IsString, MaxLength } from 'class-validator';

import { MAX_CAPPED_HOSTS } from './policy/host-cap.js';

const MAX_ACTIONS = 500;

/** What is left out stays as it is. */
export class ChangePluginDto {
  @IsOptional()
  @IsBoolean()
  enabled?: boolean;

  /** Null: every action. */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_ACTIONS)
  @IsString({ each: true })
  @MaxLength(64, { each: true })
  allowed_actions?: string[] | null;

  /** Null: no cap. Empty: no host at all. */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_CAPPED_HOSTS)
  @IsString({ each: true })
  @MaxLength(255, { each: true })
  host_cap?: string[] | null;

  @IsOptional()
  @IsBoolean()
  consent?: boolean;
}

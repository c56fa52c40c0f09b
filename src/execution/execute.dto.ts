import {
  IsDefined,
  IsIn,
  IsInt,
  IsNumber,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Max,
  MaxLength,
  Min,
  ValidateIf,
} from 'class-validator';

import { AsIs } from '../common/http/as-is.decorator.js';
import { IsTimestamp } from '../common/http/is-timestamp.decorator.js';
import { ListQuery } from '../common/http/list-query.dto.js';
import type { JsonObject, JsonValue } from '../common/json.js';
import type { ExecutionStatus } from './execution-status.js';

/** Seconds that a request waits for its execution, at most. */
export const MAX_WAIT_SECONDS = 60;

/** What the column holds. */
const MAX_PLAN_VERSION = 2 ** 31 - 1;

const STATUSES = [
  'queued',
  'running',
  'waiting',
  'paused',
  'success',
  'error',
  'cancelled',
] as const satisfies ExecutionStatus[];

export class WaitDto {
  @IsOptional()
  @IsNumber()
  @Min(0)
  @Max(MAX_WAIT_SECONDS)
  wait?: number;
}

export class ExecutePlanDto extends WaitDto {
  @IsOptional()
  @AsIs()
  input?: JsonValue;
}

/** Either `plan_id` or `plan`, an inline plan that is run and not saved. */
export class ExecuteAnyPlanDto extends ExecutePlanDto {
  @ValidateIf((body: ExecuteAnyPlanDto) => (body.plan ?? null) === null)
  @IsDefined({ message: 'give plan_id, or an inline plan' })
  @IsString()
  @Length(1, 100)
  plan_id?: string;

  @IsOptional()
  @IsObject()
  @AsIs()
  plan?: JsonObject;
}

export class ExecuteStepDto {
  @IsObject({ message: 'step must be an object: { provider, action, params }' })
  @AsIs()
  step!: JsonObject;

  /** Results of earlier steps by id, for the references of this one. */
  @IsOptional()
  @IsObject()
  @AsIs()
  step_results?: JsonObject | null;
}

export class ForkDto extends ExecutePlanDto {
  @IsString()
  @Length(1, 200)
  from_step!: string;

  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_PLAN_VERSION)
  plan_version?: number;
}

export class ListExecutionsQuery extends ListQuery {
  @IsOptional()
  @IsUUID()
  plan_id?: string;

  @IsOptional()
  @IsIn(STATUSES)
  status?: ExecutionStatus;
}

export class ListLogsQuery extends ListQuery {
  @IsOptional()
  @IsUUID()
  plan_id?: string;

  @IsOptional()
  @IsUUID()
  execution_id?: string;

  @IsOptional()
  @IsString()
  @MaxLength(64)
  provider?: string;

  @IsOptional()
  @IsIn(['success', 'error'])
  status?: 'success' | 'error';

  @IsOptional()
  @IsTimestamp()
  from?: string;

  @IsOptional()
  @IsTimestamp()
  to?: string;
}

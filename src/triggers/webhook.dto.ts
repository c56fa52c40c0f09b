import {
  Equals,
  IsIn,
  IsOptional,
  IsString,
  Length,
  Validate,
  ValidatorConstraint,
  type ValidatorConstraintInterface,
} from 'class-validator';

import { IsOmittable } from '../common/http/is-omittable.decorator.js';
import { isWebhookPath, MAX_WEBHOOK_PATH_CHARS } from './webhook-path.js';
import type { WebhookRespond } from './webhook.entity.js';

const RESPONDS = ['ack', 'last_step'] as const satisfies WebhookRespond[];

@ValidatorConstraint({ name: 'isWebhookPath' })
class IsWebhookPath implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return typeof value === 'string' && isWebhookPath(value);
  }

  defaultMessage(): string {
    return "path must be segments of A-Z, a-z, 0-9, '.', '_', '~' and '-' joined by '/', none of them '.' or '..'";
  }
}

export class CreateWebhookDto {
  /** Default: a random one. */
  @IsOptional()
  @IsString()
  @Length(1, MAX_WEBHOOK_PATH_CHARS)
  @Validate(IsWebhookPath)
  path?: string;

  @IsOptional()
  @IsIn(RESPONDS)
  respond?: WebhookRespond;

  // Taken for unknown it would be refused as well, but as a mistake; whoever wants calls to be verified
  // must not be left with a webhook that verifies nothing.
  @IsOmittable()
  @Equals(undefined, {
    message:
      "verify isn't supported yet; leave it out, and let nobody know the path who may not call",
  })
  verify?: unknown;
}

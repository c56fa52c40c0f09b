import { ValidationPipe, type ValidationError } from '@nestjs/common';

import { AppError, type Problem } from '../errors.js';
import { pointerToken } from '../json.js';

/** DTOs are the whole of what a route takes: unknown fields are refused by name. */
export function validationPipe(): ValidationPipe {
  return new ValidationPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    transform: true,
    transformOptions: { exposeUnsetFields: false },
    stopAtFirstError: false,
    exceptionFactory: (errors) =>
      invalidRequest(errors.flatMap((error) => listProblems(error, ''))),
  });
}

export function invalidRequest(errors: Problem[]): AppError {
  const first = errors[0];
  const detail = first ? `${first.pointer.slice(1) || 'the body'}: ${first.detail}` : 'see errors';
  return new AppError(
    'request.invalid',
    errors.length > 1 ? `${detail} (and ${String(errors.length - 1)} more)` : detail,
    { errors },
  );
}

function listProblems(error: ValidationError, parent: string): Problem[] {
  const pointer = `${parent}/${pointerToken(error.property)}`;
  const own = Object.values(error.constraints ?? {}).map((detail) => ({ pointer, detail }));
  return [...own, ...(error.children ?? []).flatMap((child) => listProblems(child, pointer))];
}

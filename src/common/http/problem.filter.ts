import {
  Catch,
  HttpException,
  Logger,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { isConnectionLost, isPassing } from '../connection-lost.js';
import { APP_ERRORS, AppError, type AppErrorCode, messageOf } from '../errors.js';
import type { JsonObject } from '../json.js';

/** What makes a service unavailable is mostly over by then: a restarted database, a full queue. */
const RETRY_AFTER_SECONDS = 3;

/**
 * Writes every error as application/problem+json (RFC 9457) with our `code`; bad input lists
 * `errors: [{ pointer, detail }]`. Anything unforeseen is logged here and told to nobody.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('http');

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const error = toAppError(exception);
    // Of an outage the log is told once, by who watches the database.
    if (error.code === 'internal.error' || (isPassing(exception) && !isConnectionLost(exception))) {
      // The route, not the URL: tokens of waits stand in paths.
      const { method, routeOptions } = request;
      this.logger.error({ err: exception, method, route: routeOptions.url });
    }
    if (error.code === 'service.unavailable') void reply.header('retry-after', RETRY_AFTER_SECONDS);
    const body = toProblem(error, request.id);
    void reply.status(APP_ERRORS[error.code].status).type('application/problem+json').send(body);
  }
}

/** The problem document (RFC 9457) of an error. */
export function toProblem(error: AppError, requestId: string): JsonObject {
  const { status, title, retryable } = APP_ERRORS[error.code];
  const problem: JsonObject = {
    type: 'about:blank',
    title,
    status,
    detail: error.detail,
    code: error.code,
    retryable,
    request_id: requestId,
    ...error.extensions,
  };
  if (error.errors) {
    problem['errors'] = error.errors.map(({ pointer, detail }) => ({ pointer, detail }));
  }
  return problem;
}

export function toAppError(exception: unknown): AppError {
  if (exception instanceof AppError) return exception;
  if (exception instanceof HttpException) {
    return new AppError(codeOf(exception.getStatus()), exception.message, { cause: exception });
  }
  // Fastify's own refusals (body too large, broken JSON, wrong media type) carry a status code.
  const status = (exception as { statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new AppError(codeOf(status), messageOf(exception), { cause: exception });
  }
  if (isRefusedValue(exception)) {
    return new AppError('request.invalid', 'a value of the request is not one that can be stored', {
      cause: exception,
    });
  }
  if (isConnectionLost(exception)) {
    return new AppError(
      'service.unavailable',
      'the database cannot be reached; try again shortly',
      {
        cause: exception,
      },
    );
  }
  if (isPassing(exception)) {
    return new AppError(
      'service.unavailable',
      'the database could not do this now; try again shortly',
      { cause: exception },
    );
  }
  return new AppError(
    'internal.error',
    'something went wrong on our side; it was logged under this request_id',
    {
      cause: exception,
    },
  );
}

/** Data exception (SQLSTATE class 22): checks before the database let something through. */
function isRefusedValue(exception: unknown): boolean {
  const code = (exception as { driverError?: { code?: unknown } } | null)?.driverError?.code;
  return typeof code === 'string' && code.startsWith('22');
}

function codeOf(status: number): AppErrorCode {
  const codes: Record<number, AppErrorCode> = {
    401: 'auth.required',
    403: 'auth.forbidden',
    404: 'request.not_found',
    409: 'state.conflict',
    412: 'precondition.failed',
    413: 'request.too_large',
    415: 'request.unsupported',
    429: 'request.rate_limited',
    503: 'service.unavailable',
  };
  return codes[status] ?? (status < 500 ? 'request.invalid' : 'internal.error');
}

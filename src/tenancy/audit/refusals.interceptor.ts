import {
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { catchError, type Observable } from 'rxjs';

import { APP_ERRORS, AppError } from '../../common/errors.js';
import type { AuthenticatedRequest } from '../authenticated-request.js';
import { Refusals } from './refusals.js';

/** Tells of callers whom the guard let in and a service turned away; the guard tells of its own. */
@Injectable()
export class RefusalsInterceptor implements NestInterceptor {
  constructor(private readonly refusals: Refusals) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Partial<AuthenticatedRequest>>();
    return next.handle().pipe(
      catchError(async (error: unknown): Promise<never> => {
        if (request.ctx && error instanceof AppError && APP_ERRORS[error.code].status === 403) {
          await this.refusals.ofCaller(request.ctx, request as AuthenticatedRequest, error.detail);
        }
        throw error;
      }),
    );
  }
}

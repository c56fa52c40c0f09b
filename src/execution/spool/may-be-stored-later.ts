import { isPassing } from '../../common/connection-lost.js';
import { AppError } from '../../common/errors.js';

/**
 * Whether a spooled run that could not be stored is tried again. Never is what the database refuses for its content: a
 * data exception, a constraint, a program limit, what a function raises (SQLSTATE classes 22, 23, 54 and P0); nor is an
 * error of our own. Everything else hits all runs alike, and passes when somebody has seen to the database.
 */
export function mayBeStoredLater(error: unknown): boolean {
  if (error instanceof AppError) return error.code === 'service.unavailable';
  if (isPassing(error)) return true;
  const code = (error as { driverError?: { code?: unknown } } | null)?.driverError?.code;
  return typeof code === 'string' && !/^(22|23|54|P0)/.test(code);
}

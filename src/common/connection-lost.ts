/** The database is known to be away: nothing was sent to it. */
export class DatabaseAwayError extends Error {
  constructor() {
    super('the database is away');
    this.name = 'DatabaseAwayError';
  }
}

/**
 * Whether an error means that the connection to PostgreSQL, and with it the transaction, is gone:
 * refused or lost, the server shutting down, starting or full (SQLSTATE 08xxx, 57P0x, 53300), or
 * TypeORM and pg finding their client closed under them.
 */
export function isConnectionLost(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, driverError, message, name } = error as Record<string, unknown>;
  if (typeof name === 'string' && LOST_NAMES.has(name)) return true;
  const inner = (driverError as { code?: unknown } | undefined)?.code ?? code;
  if (typeof inner === 'string') return LOST_CODES.has(inner) || inner.startsWith('08');
  return typeof message === 'string' && LOST_MESSAGE.test(message);
}

const LOST_NAMES = new Set([
  'DatabaseAwayError',
  'QueryRunnerAlreadyReleasedError',
  'QueryRunnerProviderAlreadyReleasedError',
]);

const LOST_CODES = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['57P01', '57P02', '57P03', '57P05', '53300'],
]);

const LOST_MESSAGE =
  /connection (terminated|ended)|not queryable|timeout exceeded when trying to connect|query read timeout/i;

/** The database is known to be away: nothing was sent to it, or, with a cause, nobody knows what became of that. */
export class DatabaseAwayError extends Error {
  constructor(options?: ErrorOptions) {
    super('the database is away', options);
    this.name = 'DatabaseAwayError';
  }
}

/**
 * Whether an error means that the connection to PostgreSQL, and with it the transaction, is gone or good for
 * nothing: refused or lost, the server not found, shutting down, starting, full, or one that only reads, since
 * another has taken over from it (SQLSTATE 08xxx, 57P0x, 53300, 25006), or TypeORM and pg finding their client
 * closed under them.
 */
export function isConnectionLost(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { message, name } = error as Record<string, unknown>;
  if (typeof name === 'string' && LOST_NAMES.has(name)) return true;
  const code = codeOf(error);
  if (code !== null) return LOST_CODES.has(code) || code.startsWith('08');
  return typeof message === 'string' && LOST_MESSAGE.test(message);
}

/**
 * Whether what the database has just refused may succeed later, as it stands: the connection is lost, its disk or memory
 * is full, somebody holds what was asked for or it took too long, or this host is not let in (SQLSTATE classes
 * 28, 40, 53 and 58, 3D000, 55P03, 57014).
 */
export function isPassing(error: unknown): boolean {
  if (isConnectionLost(error)) return true;
  const code = typeof error === 'object' && error !== null ? codeOf(error) : null;
  return code !== null && PASSING_CODE.test(code);
}

/** SQLSTATE, or what the system calls it. */
function codeOf(error: object): string | null {
  const { code, driverError } = error as Record<string, unknown>;
  const inner = (driverError as { code?: unknown } | undefined)?.code ?? code;
  return typeof inner === 'string' ? inner : null;
}

const LOST_NAMES = new Set([
  'DatabaseAwayError',
  'QueryRunnerAlreadyReleasedError',
  'QueryRunnerProviderAlreadyReleasedError',
]);

const LOST_CODES = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'],
  ...['ENOTFOUND', 'EAI_AGAIN'],
  ...['57P01', '57P02', '57P03', '57P05', '53300', '25006'],
]);

const LOST_MESSAGE =
  /connection (terminated|ended)|not queryable|timeout exceeded when trying to connect|query read timeout/i;

const PASSING_CODE = /^((28|40|53|58)[0-9A-Z]{3}|3D000|55P03|57014)$/;

/** Connection refused or lost, or PostgreSQL shutting down or starting (SQLSTATE 08xxx, 57P0x). */
export function isConnectionLost(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const {
    code: outer,
    driverError,
    message,
  } = error as {
    code?: unknown;
    driverError?: { code?: unknown };
    message?: unknown;
  };
  const code = driverError?.code ?? outer;
  if (typeof code === 'string') {
    return LOST_CODES.has(code) || code.startsWith('08');
  }
  return (
    typeof message === 'string' &&
    /connection terminated|timeout exceeded when trying to connect/i.test(message)
  );
}

const LOST_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', '57P01', '57P02', '57P03']);

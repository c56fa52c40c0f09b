import type { LoggerService } from '@nestjs/common';
import { destination, pino, stdSerializers, type Logger } from 'pino';

/** JSON lines on stderr; stdout is for people. */
export function makeLogger(level: string): Logger {
  return pino(
    { level, base: { pid: process.pid }, serializers: { err: describeError } },
    destination({ fd: 2, sync: true }),
  );
}

/** Nest's logger interface on top of pino; the last string argument is the context. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  fatal(message: unknown, ...rest: unknown[]): void {
    this.write('fatal', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.write('warn', message, rest);
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.write('info', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.write('trace', message, rest);
  }

  private write(
    level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace',
    message: unknown,
    rest: unknown[],
  ): void {
    // Nest hands over, in this order and each optional: a stack or text, and the context.
    const texts = rest.filter((one) => typeof one === 'string');
    const last = texts.at(-1);
    const context = last?.includes('\n    at ') === true ? undefined : last;
    const text = texts.find((one) => one !== context);
    if (typeof message === 'string') this.logger[level]({ context, detail: text }, message);
    else if (message instanceof Error)
      this.logger[level]({ context, err: message }, message.message);
    else this.logger[level]({ context, ...(message as object) }, text);
  }
}

/**
 * An error without what a failed statement was about: its parameters, and the row that PostgreSQL
 * quotes in `detail` and `where`, hold what tenants store.
 */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const described: Record<string, unknown> = { ...stdSerializers.err(error) };
  for (const name of ['parameters', 'driverError', 'detail', 'where', 'hint', 'raw']) {
    Reflect.deleteProperty(described, name);
  }
  const { driverError } = error as { driverError?: { code?: unknown } };
  return driverError === undefined ? described : { ...described, code: driverError.code };
}

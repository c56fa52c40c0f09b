import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../errors.js';
import { isStorable, parseUntrustedJson, UnsafeJsonError, type JsonValue } from '../json.js';

/**
 * Reads JSON bodies: bounded in depth and keys, free of prototype keys and of characters that the
 * database has no place for. What gets past here can be stored and merged without further thought.
 */
export function useJsonBodies(app: NestFastifyApplication, bodyLimit: number): void {
  const fastify = app.getHttpAdapter().getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser(
    'application/json',
    { parseAs: 'string', bodyLimit },
    (
      _request: FastifyRequest,
      body: string | Buffer,
      done: (error: Error | null, value?: unknown) => void,
    ) => {
      try {
        done(null, parseBody(body.toString()));
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  );
}

/** NUL is no text: no id, name or filter holds it, and the database has no place for it. */
export function refuseNulInUrls(app: NestFastifyApplication): void {
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (request, _reply, done) => {
      if (!request.url.includes('%00')) done();
      else done(new AppError('request.invalid', 'the URL holds a NUL character (%00); remove it'));
    });
}

function parseBody(text: string): JsonValue | undefined {
  if (text.trim() === '') return undefined;
  let value: JsonValue;
  try {
    value = parseUntrustedJson(text);
  } catch (error) {
    if (!(error instanceof UnsafeJsonError)) throw error;
    throw new AppError('request.invalid', `the body can't be read as JSON: ${error.message}`, {
      cause: error,
    });
  }
  if (!isStorable(value)) {
    throw new AppError(
      'request.invalid',
      'the body holds NUL characters or unpaired surrogates (\\u0000, \\ud800-\\udfff), which are not text; remove them',
    );
  }
  return value;
}

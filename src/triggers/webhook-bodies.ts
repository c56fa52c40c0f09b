import type { FastifyInstance, FastifyRequest } from 'fastify';

import { AppError, messageOf } from '../common/errors.js';
import { isStorable } from '../common/json.js';
import { readFields } from './called-webhook.js';

const AS_TEXT = { parseAs: 'string' } as const;

/** Far more than any form has: the 260,000 that fit into 1 MiB keep a host busy for two seconds. */
const MAX_FORM_FIELDS = 1_000;

/**
 * Lets the routes of `scope` take forms and text besides JSON, whose parser and limit they have from
 * the host; no other route takes them.
 */
export function takeFormsAndText(scope: FastifyInstance): void {
  scope.addContentTypeParser('application/x-www-form-urlencoded', AS_TEXT, parserOf(parseForm));
  scope.addContentTypeParser(/^text\//, AS_TEXT, parserOf(checkText));
  scope.addContentTypeParser('*', (request, _payload, done) => {
    done(hasBody(request) ? unsupported() : null, undefined);
  });
}

/** RFC 9112, section 6.3: one of the two headers says so. */
function hasBody({ headers }: FastifyRequest): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers;
  return length !== '0' || coding !== undefined;
}

function unsupported(): AppError {
  return new AppError(
    'request.unsupported',
    'send JSON (application/json), a form (application/x-www-form-urlencoded) or text (text/...), and say so in Content-Type',
  );
}

type Done = (error: Error | null, body?: unknown) => void;

function parserOf(parse: (text: string) => unknown) {
  return (_request: FastifyRequest, text: string | Buffer, done: Done): void => {
    let body: unknown;
    try {
      body = parse(text.toString());
    } catch (error) {
      done(error instanceof Error ? error : new Error(messageOf(error)));
      return;
    }
    done(null, body);
  };
}

/** Text by name; a list where a name is repeated (URL Standard, section 5.1). */
function parseForm(text: string): unknown {
  if (text === '') return undefined;
  if (hasTooManyFields(text)) {
    throw new AppError(
      'request.too_large',
      `a form has at most ${String(MAX_FORM_FIELDS)} fields; send more of them as JSON`,
    );
  }
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const before = fields.get(name);
    if (before === undefined) fields.set(name, value);
    else if (typeof before === 'string') fields.set(name, [before, value]);
    else before.push(value);
  }
  return readFields(Object.fromEntries(fields), 'the form');
}

/** Told before any of them is read, which is what takes the time. */
function hasTooManyFields(text: string): boolean {
  let fields = 1;
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) {
    if (++fields > MAX_FORM_FIELDS) return true;
  }
  return false;
}

function checkText(text: string): string | undefined {
  if (text === '') return undefined;
  if (isStorable(text)) return text;
  throw new AppError('request.invalid', 'the body holds NUL characters, which are not text');
}

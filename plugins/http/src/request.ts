import { defineAction, InvalidInput, type JsonValue } from '@stepwell/plugin-sdk';

import { readBody } from './read-body.js';

const scalar = { type: ['string', 'number', 'boolean', 'null'] } as const;

export const request = defineAction({
  id: 'request',
  title: 'Send a request',
  description: 'Sends one HTTP request and gives status, headers and body of the answer.',
  effects: { byMethod: '/method' },
  generic: true,
  input: {
    type: 'object',
    properties: {
      method: {
        enum: ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'],
        default: 'GET',
      },
      url: { type: 'string', minLength: 1, maxLength: 16_384 },
      headers: { type: 'object', additionalProperties: { type: 'string' } },
      query: {
        type: 'object',
        description: 'Added to the query of the URL; lists repeat the name.',
        additionalProperties: { anyOf: [scalar, { type: 'array', items: scalar }] },
      },
      body: { description: 'A text is sent as it is, anything else as JSON.' },
      timeout_ms: { type: 'integer', minimum: 1, maximum: 300_000 },
      fail_on_error: {
        type: 'boolean',
        default: true,
        description: 'Whether a status outside 200-299 fails the step.',
      },
    },
    required: ['url'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      status: { type: 'integer' },
      headers: {
        type: 'object',
        description: 'By lower-case name.',
        additionalProperties: { type: 'string' },
      },
      body: { description: 'Parsed when it is JSON, else a text; null when there is none.' },
      body_encoding: {
        enum: ['base64'],
        description: 'There when the body is neither JSON nor UTF-8.',
      },
    },
    required: ['status', 'headers', 'body'],
  },
  async run({ input, http }) {
    const method = input.method ?? 'GET';
    const answer = await http.request(parseUrl(input.url), {
      method,
      headers: input.headers ?? {},
      query: input.query ?? {},
      ...encodeBody(method, input.body),
      ...(input.timeout_ms === undefined ? {} : { timeoutMs: input.timeout_ms }),
      throwOnError: input.fail_on_error ?? true,
    });
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      ...readBody(await answer.bytes(), answer.headers.get('content-type') ?? ''),
    };
  },
});

function parseUrl(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new InvalidInput(`"${text}" is not an absolute URL such as https://api.example.com/items`, {
    pointer: '/url',
  });
}

function encodeBody(
  method: string,
  body: JsonValue | undefined,
): { body?: string; json?: JsonValue } {
  if (body === undefined || body === null) return {};
  if (method === 'GET' || method === 'HEAD') {
    throw new InvalidInput(`a ${method} request has no body: use another method or \`query\``, {
      pointer: '/body',
    });
  }
  return typeof body === 'string' ? { body } : { json: body };
}

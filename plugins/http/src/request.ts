import { defineAction } from '@stepwell/plugin-sdk';

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
  http: {
    require: [
      {
        that: 'input.body == null || !((input.method ?? "GET") == "GET" || input.method == "HEAD")',
        message: 'a {{ input.method ?? "GET" }} request has no body: use another method or `query`',
        pointer: '/body',
      },
    ],
    method: '{{ input.method ?? "GET" }}',
    url: '{{ input.url }}',
    headers: { $spread: 'input.headers' },
    query: { $spread: 'input.query' },
    body: '{{ input.body }}',
    bodyAs: 'textOrJson',
    timeoutMs: '{{ input.timeout_ms }}',
    okWhen: 'input.fail_on_error == false || (response.status >= 200 && response.status <= 299)',
    output: {
      status: '{{ response.status }}',
      headers: '{{ response.headers }}',
      body: '{{ response.body }}',
      body_encoding: '{{ response.bodyEncoding }}',
    },
  },
});

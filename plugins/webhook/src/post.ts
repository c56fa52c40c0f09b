import {
  defineAction,
  InvalidInput,
  type HttpResponse,
  type JsonValue,
} from '@stepwell/plugin-sdk';

import { webhook } from './credential.js';
import { signatureHeaders } from './signature.js';

export const post = defineAction({
  id: 'post',
  title: 'Post a webhook',
  description: 'Posts a body to a URL, signed when there is a secret or a credential.',
  // A receiver that looks at webhook-id does the work once; nobody knows whether this one does.
  effects: 'write',
  idempotency: 'none',
  generic: true,
  credential: webhook,
  credentialOptional: true,
  input: {
    type: 'object',
    properties: {
      url: {
        type: 'string',
        minLength: 1,
        maxLength: 16_384,
        description: 'Left out, the endpoint of the credential.',
      },
      body: { description: 'A text is sent as it is, anything else as JSON.' },
      headers: { type: 'object', additionalProperties: { type: 'string' } },
      secret: {
        type: 'string',
        minLength: 1,
        description: 'Signs the request; better kept in a credential, which no plugin sees.',
        'x-stepwell-secret': true,
      },
    },
    required: ['body'],
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
    },
    required: ['status', 'headers', 'body'],
  },
  async run({ input, credential, http, clock, crypto, idempotencyKey }) {
    if (credential !== null && input.secret !== undefined) {
      throw new InvalidInput(
        'the step has a secret and a credential, and only one can sign: leave the secret out, or write "credential": null into the step',
        { pointer: '/secret' },
      );
    }
    const url = targetOf(input.url, credential?.endpoint);
    const body = typeof input.body === 'string' ? input.body : JSON.stringify(input.body);
    const answer = await http.post(url, {
      headers: {
        ...(typeof input.body === 'string' ? {} : { 'content-type': 'application/json' }),
        ...input.headers,
        // Egress signs with the secret of the credential, and keeps this id.
        ...(credential === null ? {} : { 'webhook-id': idempotencyKey }),
        ...(input.secret === undefined
          ? {}
          : await signatureHeaders(
              input.secret,
              { id: idempotencyKey, sentAtMs: clock.now(), body },
              crypto,
            )),
      },
      body,
    });
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: await readBody(answer),
    };
  },
});

/** A request to another origin than the credential's would leave without a signature. */
function targetOf(given: string | undefined, endpoint: string | undefined): URL {
  const text = given ?? endpoint;
  if (text === undefined) {
    throw new InvalidInput('give a url, or a credential with an endpoint', { pointer: '/url' });
  }
  if (!URL.canParse(text)) {
    throw new InvalidInput(`"${text}" is not an absolute URL such as https://example.com/hook`, {
      pointer: '/url',
    });
  }
  const url = new URL(text);
  if (endpoint === undefined || url.origin === new URL(endpoint).origin) return url;
  throw new InvalidInput(
    `the credential signs for ${new URL(endpoint).origin} alone, so that a request to ${url.origin} would not be signed: use another credential, or write "credential": null into the step`,
    { pointer: '/url' },
  );
}

/** Servers that call their HTML pages JSON shouldn't hide them. */
async function readBody(answer: HttpResponse): Promise<JsonValue> {
  const text = await answer.text();
  if (text === '') return null;
  if (!/^[^;]*[/+]json\s*(;|$)/i.test(answer.headers.get('content-type') ?? '')) return text;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

import type { ServerResponse } from 'node:http';

import { json, startCountingServer, type CountingServer, type Seen } from './counting-server.js';

/**
 * Speaks as much of the OpenAI API as the tests need, in its documented shapes: /v1/models,
 * /v1/chat/completions and /v1/embeddings. Wants one bearer token. The model decides what happens:
 * `echo` answers with the request's authorization header, `busy` is rate limited, `down` fails.
 */
export async function startOpenAiServer(apiKey: string): Promise<CountingServer> {
  return await startCountingServer((seen, response) => {
    if (seen.headers['authorization'] !== `Bearer ${apiKey}`) {
      fail(response, 401, {
        message: `Incorrect API key provided: ${String(seen.headers['authorization'])}.`,
        type: 'invalid_request_error',
        code: 'invalid_api_key',
      });
      return;
    }
    const route = ROUTES[`${seen.method} ${seen.url}`];
    if (route) route(seen, response);
    else fail(response, 404, { message: 'Unknown request URL', type: 'invalid_request_error' });
  });
}

type Route = (seen: Seen, response: ServerResponse) => void;

const ROUTES: Record<string, Route> = {
  'GET /v1/models': (_, response) => {
    json(response, 200, { object: 'list', data: [{ id: 'gpt-4o-mini', object: 'model' }] });
  },

  'POST /v1/chat/completions': (seen, response) => {
    const { model, messages } = JSON.parse(seen.body) as {
      model: string;
      messages: { role: string; content: string }[];
    };
    const authorization = String(seen.headers['authorization']);
    if (model === 'busy') {
      const error = {
        message: 'Rate limit reached',
        type: 'requests',
        code: 'rate_limit_exceeded',
      };
      json(response, 429, { error }, { 'retry-after': '1' });
      return;
    }
    if (model === 'down') {
      fail(response, 500, { message: `cannot serve ${authorization}`, type: 'server_error' });
      return;
    }
    const content = model === 'echo' ? echo(authorization) : `You said: ${said(messages)}`;
    json(
      response,
      200,
      {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model,
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
      },
      { 'x-request-id': model === 'echo' ? encodeURIComponent(authorization) : 'req_1' },
    );
  },

  'POST /v1/embeddings': (seen, response) => {
    const { model, input } = JSON.parse(seen.body) as { model: string; input: string | string[] };
    const data = [input].flat().map((text, index) => ({
      object: 'embedding',
      index,
      embedding: [text.length, 0.5],
    }));
    const usage = { prompt_tokens: 3, total_tokens: 3 };
    json(response, 200, { object: 'list', data, model, usage });
  },
};

function said(messages: { role: string; content: string }[]): string {
  return messages.map(({ role, content }) => `${role}: ${content}`).join(' | ');
}

/** A careless, or curious, service: all it was sent, in every encoding. */
function echo(authorization: string): string {
  const key = authorization.slice('Bearer '.length);
  const bytes = Buffer.from(key);
  return [
    authorization,
    encodeURIComponent(key),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    Buffer.from(`user:${key}`).toString('base64'),
  ].join('\n');
}

function fail(
  response: ServerResponse,
  status: number,
  error: { message: string; type: string; code?: string },
): void {
  json(response, status, { error: { param: null, code: null, ...error } });
}

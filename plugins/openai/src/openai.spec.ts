import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';

import { ProviderHarness } from '../../provider.harness.js';

/** As documented for POST /v1/chat/completions. */
const COMPLETION = {
  id: 'chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT',
  object: 'chat.completion',
  created: 1741569952,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Hello!', refusal: null, annotations: [] },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 19, completion_tokens: 10, total_tokens: 29 },
  service_tier: 'default',
};

let openai: ProviderHarness;

beforeAll(async () => {
  openai = await ProviderHarness.pack('openai', { base_url: 'https://api.openai.com/v1' });
});

afterAll(async () => {
  await openai.close();
  await stop();
});

const failing = async (status: number, error: object, headers: Record<string, string> = {}) => {
  const answer = { status, headers, body: { error: { param: null, code: null, ...error } } };
  return (await openai.run('chat_completion', { prompt: 'Hi' }, answer)).result;
};

describe('openai.chat_completion', () => {
  it('sends a prompt as the only message, to the model that costs little', async () => {
    const { result, request } = await openai.run(
      'chat_completion',
      { prompt: 'Hi' },
      { body: COMPLETION },
    );
    expect(request).toEqual({
      method: 'POST',
      url: 'https://api.openai.com/v1/chat/completions',
      headers: { 'content-type': 'application/json' },
      body: { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }] },
    });
    expect(result).toMatchObject({
      success: true,
      output: {
        text: 'Hello!',
        message: { role: 'assistant', content: 'Hello!' },
        model: 'gpt-4o-mini-2024-07-18',
        finish_reason: 'stop',
        usage: { prompt_tokens: 19, completion_tokens: 10, total_tokens: 29 },
      },
    });
  });

  it('puts the system text first, whichever way the rest comes, and the prompt last', async () => {
    const system = { role: 'system', content: 'Be brief.' };
    const prompt = await openai.run(
      'chat_completion',
      { prompt: 'Hi', system: 'Be brief.' },
      { body: COMPLETION },
    );
    expect(prompt.request?.body).toMatchObject({
      messages: [system, { role: 'user', content: 'Hi' }],
    });
    const turns = [
      { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
      { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function' }] },
      { role: 'tool', tool_call_id: 'c1', content: '{{ input.system }}' },
    ];
    const messages = await openai.run(
      'chat_completion',
      { messages: turns, system: 'Be brief.' },
      { body: COMPLETION },
    );
    expect(messages.request?.body).toMatchObject({ messages: [system, ...turns] });
    const next = await openai.run(
      'chat_completion',
      { messages: turns, system: 'Be brief.', prompt: 'And now?' },
      { body: COMPLETION },
    );
    expect(next.request?.body).toMatchObject({
      messages: [system, ...turns, { role: 'user', content: 'And now?' }],
    });
    const alone = await openai.run('chat_completion', { messages: turns }, { body: COMPLETION });
    expect(alone.request?.body).toEqual({ model: 'gpt-4o-mini', messages: turns });
  });

  it('passes on what it is given of the other parameters, and nothing else', async () => {
    const options = {
      model: 'gpt-5',
      temperature: 0,
      top_p: 0.5,
      max_tokens: 5,
      max_completion_tokens: 5,
      stop: ['\n'],
      response_format: { type: 'json_object' },
      seed: 7,
      tools: [{ type: 'function', function: { name: 'f' } }],
      tool_choice: 'auto',
      presence_penalty: 1,
      frequency_penalty: -1,
      user: 'u',
      reasoning_effort: 'minimal',
      verbosity: 'low',
      parallel_tool_calls: false,
      logit_bias: { '50256': -100 },
      service_tier: 'flex',
      store: true,
      metadata: { plan: 'p' },
      prompt_cache_key: 'k',
      safety_identifier: 's',
    };
    const { request } = await openai.run(
      'chat_completion',
      { prompt: 'Hi', ...options },
      { body: COMPLETION },
    );
    expect(request?.body).toEqual({ ...options, messages: [{ role: 'user', content: 'Hi' }] });
  });

  it('sends to compatible services what OpenAI itself has no name for', async () => {
    const { request } = await openai.run(
      'chat_completion',
      {
        prompt: 'Hi',
        temperature: 0,
        extra_body: { top_k: 5, temperature: 1, model: 'other', messages: [], stream: true },
      },
      { body: COMPLETION },
    );
    expect(request?.body).toEqual({
      top_k: 5,
      temperature: 0,
      model: 'gpt-4o-mini',
      messages: [{ role: 'user', content: 'Hi' }],
    });
  });

  it('gives tool calls in the message, and null as text', async () => {
    const message = { role: 'assistant', content: null, tool_calls: [{ id: 'c1' }] };
    const choices = [{ index: 0, message, finish_reason: 'tool_calls' }];
    const { result } = await openai.run(
      'chat_completion',
      { prompt: 'Hi' },
      { body: { ...COMPLETION, choices } },
    );
    expect(result.output).toMatchObject({ text: null, message, finish_reason: 'tool_calls' });
  });

  it.each([
    ['neither prompt nor messages', {}],
    ['no messages in the list', { messages: [] }],
    ['an unknown parameter', { prompt: 'Hi', promt: 'Hi' }],
    ['a message without a role', { messages: [{ content: 'Hi' }] }],
  ])('refuses %s before anything is sent', async (_name, input) => {
    const { result, request } = await openai.run('chat_completion', input, { body: COMPLETION });
    expect([result.error?.code, request]).toEqual(['input.invalid', null]);
  });

  it("reports failures in OpenAI's own words", async () => {
    const wrongKey = await failing(401, {
      message: 'Incorrect API key provided: sk-***.',
      type: 'invalid_request_error',
      code: 'invalid_api_key',
    });
    expect(wrongKey.error).toMatchObject({
      code: 'provider.auth_failed',
      retryable: false,
      message: 'Incorrect API key provided: sk-***.',
    });
    const unknownModel = await failing(404, {
      message: 'The model `gpt-9` does not exist or you do not have access to it.',
      type: 'invalid_request_error',
      code: 'model_not_found',
    });
    expect(unknownModel.error).toMatchObject({ code: 'provider.rejected', retryable: false });
    expect(unknownModel.message).toMatch(/`gpt-9` does not exist/);
  });

  it('waits as long as a rate limit says, and not at all for a quota', async () => {
    const limited = await failing(
      429,
      { message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' },
      { 'retry-after': '20' },
    );
    expect(limited.error).toMatchObject({
      code: 'provider.rate_limited',
      retryable: true,
      details: { status: 429, retry_after_ms: 20_000 },
    });
    for (const quota of [{ code: 'insufficient_quota' }, { type: 'insufficient_quota' }]) {
      const used = await failing(429, {
        message: 'You exceeded your current quota, please check your plan and billing details.',
        ...quota,
      });
      expect(used.error).toMatchObject({ code: 'provider.rejected', retryable: false });
      expect(used.message).toMatch(/current quota/);
    }
  });

  it('takes a failing server for one that may come back', async () => {
    const failed = await failing(500, { message: 'The server had an error', type: 'server_error' });
    expect(failed.error).toMatchObject({ code: 'provider.unavailable', retryable: true });
    const html = await openai.run(
      'chat_completion',
      { prompt: 'Hi' },
      { status: 502, body: '<html>Bad gateway</html>' },
    );
    expect(html.result.error).toMatchObject({ code: 'provider.unavailable', retryable: true });
    expect(html.result.message).toMatch(/502.*Bad gateway/);
  });

  it.each([
    ['a web page', '<html>Open your chats</html>', /answer is none of chat_completion.*base_url/],
    ['an empty answer', null, /base_url/],
    ['an answer without choices', { ...COMPLETION, choices: [] }, /base_url/],
    ['an error that calls itself well', { error: { message: 'Provider is down' } }, /is down/],
    ['an error in one word', { error: 'Unexpected endpoint' }, /^Unexpected endpoint$/],
  ])('takes %s with status 200 for no success', async (_name, body, reason) => {
    const { result } = await openai.run('chat_completion', { prompt: 'Hi' }, { body });
    expect(result.error).toMatchObject({ code: 'provider.rejected', details: { status: 200 } });
    expect(result.message).toMatch(reason);
  });

  it.each([
    ['FastAPI', { detail: 'Not Found' }, 'Not Found'],
    ['Mistral', { object: 'error', message: 'Invalid model' }, 'Invalid model'],
  ])('finds the words of %s', async (_name, body, said) => {
    const { result } = await openai.run('chat_completion', { prompt: 'Hi' }, { status: 404, body });
    expect(result.message).toBe(said);
  });

  it('reads, so that a lost answer may be asked for again, and takes its time', () => {
    expect(openai.action('chat_completion')).toMatchObject({
      effects: 'read',
      credential: 'openai',
    });
    expect(openai.credential).toMatchObject({
      hosts: [{ fromField: 'base_url' }],
      inject: { headers: { authorization: 'Bearer {{secret.api_key}}' } },
      test: { method: 'GET', url: '{{credential.base_url}}/models' },
    });
  });
});

describe('openai.embeddings', () => {
  const answer = {
    object: 'list',
    data: [
      { object: 'embedding', index: 0, embedding: [0.0023064255, -0.009327292] },
      { object: 'embedding', index: 1, embedding: [1, 2] },
    ],
    model: 'text-embedding-3-small',
    usage: { prompt_tokens: 8, total_tokens: 8 },
  };

  it('gives a vector for each text', async () => {
    const { result, request } = await openai.run(
      'embeddings',
      { input: ['a', 'b'], dimensions: 2 },
      { body: answer },
    );
    expect(request).toEqual({
      method: 'POST',
      url: 'https://api.openai.com/v1/embeddings',
      headers: { 'content-type': 'application/json' },
      body: { model: 'text-embedding-3-small', input: ['a', 'b'], dimensions: 2 },
    });
    expect(result.output).toEqual({
      embeddings: [
        [0.0023064255, -0.009327292],
        [1, 2],
      ],
      embedding: [0.0023064255, -0.009327292],
      model: 'text-embedding-3-small',
      usage: { prompt_tokens: 8, total_tokens: 8 },
    });
  });

  it('takes an answer without vectors for no success', async () => {
    const { result } = await openai.run('embeddings', { input: 'a' }, { body: '<html></html>' });
    expect(result.error?.code).toBe('provider.rejected');
    expect(result.message).toMatch(/answer is none of embeddings.*base_url/);
  });

  it('takes one text, too', async () => {
    const { request } = await openai.run('embeddings', { input: 'a' }, { body: answer });
    expect(request?.body).toEqual({ model: 'text-embedding-3-small', input: 'a' });
  });

  it('takes vectors of many texts within the budget of templates', async () => {
    const data = Array.from({ length: 20 }, (_, index) => ({
      index,
      embedding: Array.from({ length: 1536 }, (_, i) => (i + 1) / 1e5),
    }));
    const { result } = await openai.run(
      'embeddings',
      { input: 'a' },
      { body: { ...answer, data } },
    );
    expect(result.error).toBeNull();
  });
});

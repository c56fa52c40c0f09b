import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stop } from 'esbuild';

import { ProviderHarness } from '../../provider.harness.js';

const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8' };

/** As documented for chat.postMessage. */
const POSTED = {
  ok: true,
  channel: 'C123ABC456',
  ts: '1503435956.000247',
  message: { type: 'message', text: "Here's a message for you", bot_id: 'B123ABC456' },
};

let slack: ProviderHarness;

beforeAll(async () => {
  slack = await ProviderHarness.pack('slack', { base_url: 'https://slack.com/api' });
});

afterAll(async () => {
  await slack.close();
  await stop();
});

const send = async (
  body: object,
  more: { status?: number; headers?: Record<string, string> } = {},
) =>
  await slack.run(
    'send_message',
    { channel: '#general', text: 'Hi' },
    { body: { ...body }, ...more },
  );

describe('slack.send_message', () => {
  it('posts JSON and gives what Slack made of it', async () => {
    const { result, request } = await slack.run(
      'send_message',
      { channel: '#general', text: '{{ x }} ü', thread_ts: '1.2', unfurl_links: false },
      { body: POSTED },
    );
    expect(request).toEqual({
      method: 'POST',
      url: 'https://slack.com/api/chat.postMessage',
      headers: JSON_HEADERS,
      body: { channel: '#general', text: '{{ x }} ü', thread_ts: '1.2', unfurl_links: false },
    });
    expect(result).toMatchObject({ success: true, output: POSTED });
  });

  it('takes blocks without a text, and refuses an empty message before it is sent', async () => {
    const blocks = [{ type: 'divider' }];
    const { request } = await slack.run(
      'send_message',
      { channel: 'C1', blocks },
      { body: POSTED },
    );
    expect(request?.body).toEqual({ channel: 'C1', blocks });
    for (const input of [
      { channel: 'C1' },
      { text: 'Hi' },
      { channel: 'C1', text: 'x', txet: 1 },
    ]) {
      const { result, request: sent } = await slack.run('send_message', input, { body: POSTED });
      expect([result.error?.code, sent]).toEqual(['input.invalid', null]);
    }
  });

  it('is a write that nobody repeats silently', () => {
    expect(slack.action('send_message')).toMatchObject({
      effects: 'write',
      idempotency: 'none',
      credential: 'slack',
    });
    expect(slack.credential).toMatchObject({
      inject: { headers: { authorization: 'Bearer {{secret.bot_token}}' } },
      test: { method: 'POST', expect: { pointer: '/ok', equals: true } },
    });
  });

  it.each([
    ['invalid_auth', 'provider.auth_failed', false],
    ['not_authed', 'provider.auth_failed', false],
    ['token_revoked', 'provider.auth_failed', false],
    ['account_inactive', 'provider.auth_failed', false],
    ['ratelimited', 'provider.rate_limited', true],
    ['internal_error', 'provider.unavailable', true],
    ['fatal_error', 'provider.unavailable', true],
    ['is_archived', 'provider.rejected', false],
    ['invalid', 'provider.rejected', false],
  ])('takes ok:false with %s for %s', async (error, code, retryable) => {
    const { result } = await send({ ok: false, error });
    expect(result).toMatchObject({ success: false, error: { code, retryable } });
    expect(result.message).toBe(`Slack: ${error}`);
  });

  it.each([
    ['not_in_channel', /^Slack: not_in_channel \(invite the bot/],
    ['channel_not_found', /^Slack: channel_not_found \(.* the bot is not in/],
  ])('says what to do about %s', async (error, advice) => {
    const { result } = await send({ ok: false, error });
    expect(result.message).toMatch(advice);
  });

  it('takes Markdown instead of a text', async () => {
    for (const [action, input] of [
      ['send_message', { channel: 'C1', markdown_text: '**Hi**' }],
      ['update_message', { channel: 'C1', ts: '1.2', markdown_text: '**Hi**' }],
    ] as const) {
      const { request } = await slack.run(action, input, { body: POSTED });
      expect(request?.body).toEqual(input);
    }
  });

  it('says that nobody knows whether a failing Slack has posted the message', async () => {
    const { result } = await send({ ok: false, error: 'internal_error' });
    expect(result.error?.details).toMatchObject({ outcome: 'unknown' });
    expect((await send({ ok: false, error: 'ratelimited' })).result.error?.details).toEqual({
      status: 200,
    });
  });

  it('says which scope is missing and which argument is wrong', async () => {
    const scope = { ok: false, error: 'missing_scope', needed: 'chat:write', provided: 'none' };
    expect((await send(scope)).result).toMatchObject({
      message: 'Slack: missing_scope (needs the scope chat:write)',
      error: { code: 'provider.auth_failed' },
    });
    const messages = ['[ERROR] must be a text', '[ERROR] too long'];
    const argument = { ok: false, error: 'invalid_arguments', response_metadata: { messages } };
    expect((await send(argument)).result.message).toBe(
      'Slack: invalid_arguments [ERROR] must be a text; [ERROR] too long',
    );
  });

  it('waits as long as a rate limit says', async () => {
    const limited = { status: 429, headers: { 'retry-after': '30' } };
    const { result } = await send({ ok: false, error: 'ratelimited' }, limited);
    expect(result.error).toMatchObject({
      code: 'provider.rate_limited',
      retryable: true,
      details: { status: 429, retry_after_ms: 30_000 },
    });
  });

  it('goes by the status where Slack says nothing', async () => {
    const run = async (status: number, body: string) =>
      (await slack.run('send_message', { channel: 'C', text: 't' }, { status, body })).result;
    expect(await run(503, '<html>down</html>')).toMatchObject({
      message: expect.stringMatching(/503.*down/),
      error: { code: 'provider.unavailable', details: { outcome: 'unknown' } },
    });
    expect((await run(401, 'no')).error?.code).toBe('provider.auth_failed');
    // A proxy's page isn't a success just because it came with 200.
    expect((await run(200, '<html>log in</html>')).error?.code).toBe('provider.rejected');
  });
});

describe('the other actions of slack', () => {
  it('update a message', async () => {
    const input = { channel: 'C1', ts: '1.2', text: 'new' };
    const { result, request } = await slack.run('update_message', input, {
      body: { ok: true, channel: 'C1', ts: '1.2', text: 'new', message: { text: 'new' } },
    });
    expect(request).toMatchObject({ url: 'https://slack.com/api/chat.update', body: input });
    expect(result.output).toEqual({
      ok: true,
      channel: 'C1',
      ts: '1.2',
      message: { text: 'new' },
    });
    expect(slack.action('update_message').idempotency).toBe('natural');
  });

  it('delete a message', async () => {
    const input = { channel: 'C1', ts: '1.2' };
    const { result, request } = await slack.run('delete_message', input, {
      body: { ok: true, ...input },
    });
    expect(request).toMatchObject({ url: 'https://slack.com/api/chat.delete', body: input });
    expect(result.output).toEqual({ ok: true, ...input });
  });

  it('add a reaction, of which one is enough', async () => {
    const input = { channel: 'C1', ts: '1.2', name: ':thumbsup:' };
    const { result, request } = await slack.run('add_reaction', input, { body: { ok: true } });
    expect(request).toMatchObject({
      method: 'POST',
      url: 'https://slack.com/api/reactions.add',
      headers: JSON_HEADERS,
      body: { channel: 'C1', timestamp: '1.2', name: 'thumbsup' },
    });
    expect(result.output).toEqual({ ok: true });
    const again = await slack.run('add_reaction', input, {
      body: { ok: false, error: 'already_reacted' },
    });
    expect(again.result.output).toEqual({ ok: true });
    const bad = await slack.run('add_reaction', input, {
      body: { ok: false, error: 'invalid_name' },
    });
    expect(bad.result.error?.code).toBe('provider.rejected');
  });

  it('list channels page by page', async () => {
    const channels = [{ id: 'C1', name: 'general', is_channel: true }];
    const first = await slack.run(
      'list_channels',
      {},
      {
        body: { ok: true, channels, response_metadata: { next_cursor: 'dGVhbTpDMDYxRkE1UEI=' } },
      },
    );
    expect(first.request).toEqual({
      method: 'GET',
      url: 'https://slack.com/api/conversations.list?limit=200&types=public_channel&exclude_archived=true',
      headers: {},
      body: null,
    });
    expect(first.result.output).toEqual({
      ok: true,
      channels,
      next_cursor: 'dGVhbTpDMDYxRkE1UEI=',
    });
    const types = ['public_channel', 'private_channel'];
    const last = await slack.run(
      'list_channels',
      { cursor: 'dGVhbTpDMDYxRkE1UEI=', limit: 5, types, exclude_archived: false },
      { body: { ok: true, channels: [], response_metadata: { next_cursor: '' } } },
    );
    expect(last.request?.url).toBe(
      'https://slack.com/api/conversations.list?cursor=dGVhbTpDMDYxRkE1UEI%3D&limit=5&types=public_channel%2Cprivate_channel&exclude_archived=false',
    );
    expect(last.result.output).toEqual({ ok: true, channels: [], next_cursor: null });
  });

  it('find a person', async () => {
    const user = { id: 'W012A3CDE', name: 'spengler' };
    const { result, request } = await slack.run(
      'lookup_user_by_email',
      { email: 'spengler+1@ghostbusters.example.com' },
      { body: { ok: true, user } },
    );
    expect(request?.url).toBe(
      'https://slack.com/api/users.lookupByEmail?email=spengler%2B1%40ghostbusters.example.com',
    );
    expect(result.output).toEqual({ ok: true, user });
    const nobody = await slack.run(
      'lookup_user_by_email',
      { email: 'nobody@example.com' },
      { body: { ok: false, error: 'users_not_found' } },
    );
    expect(nobody.result).toMatchObject({
      message: 'Slack: users_not_found',
      error: { code: 'provider.rejected' },
    });
  });
});

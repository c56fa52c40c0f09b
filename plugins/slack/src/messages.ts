import { defineAction } from '@stepwell/plugin-sdk';

import { slack } from './credential.js';
import { post } from './web-api.js';

const channel = {
  type: 'string',
  minLength: 1,
  description: 'Id of a channel or a person.',
} as const;

const ts = {
  type: 'string',
  minLength: 1,
  description: 'Of the message, as `send_message` gave it.',
} as const;

/** What a message holds; a text beside blocks is what notifications show. */
const content = {
  text: { type: 'string' },
  markdown_text: {
    type: 'string',
    maxLength: 12_000,
    description: 'Markdown, with neither text nor blocks beside it.',
  },
  blocks: { type: 'array', items: { type: 'object' }, maxItems: 50 },
  attachments: { type: 'array', items: { type: 'object' } },
  metadata: { type: 'object' },
  link_names: { type: 'boolean' },
  parse: { enum: ['full', 'none'] },
} as const;

const someContent = [
  { required: ['text'] },
  { required: ['markdown_text'] },
  { required: ['blocks'] },
  { required: ['attachments'] },
] as const;

const sent = {
  type: 'object',
  properties: {
    ok: { const: true },
    channel: { type: 'string', description: 'Its id, also when it was given by name.' },
    ts: { type: 'string', description: 'Names the message in its channel.' },
    message: { type: ['object', 'null'], description: 'As Slack stored it.' },
  },
  required: ['ok', 'channel', 'ts', 'message'],
} as const;

const sentOutput = {
  ok: true,
  channel: '{{ response.body.channel }}',
  ts: '{{ response.body.ts }}',
  message: '{{ response.body.message ?? null }}',
};

export const sendMessage = defineAction({
  id: 'send_message',
  title: 'Send a message',
  // chat.postMessage has no key by which Slack would know a message that it was sent before.
  effects: 'write',
  idempotency: 'none',
  credential: slack,
  input: {
    type: 'object',
    properties: {
      channel: {
        ...channel,
        description: 'Id of a channel or a person, or a name such as #general.',
      },
      ...content,
      thread_ts: { type: 'string', description: 'Answers in the thread of that message.' },
      reply_broadcast: { type: 'boolean', description: 'Shows the answer in the channel, too.' },
      mrkdwn: { type: 'boolean' },
      unfurl_links: { type: 'boolean' },
      unfurl_media: { type: 'boolean' },
      username: { type: 'string' },
      icon_emoji: { type: 'string' },
      icon_url: { type: 'string' },
    },
    required: ['channel'],
    anyOf: someContent,
    additionalProperties: false,
  },
  output: sent,
  http: post('chat.postMessage', { body: '{{ input }}', output: sentOutput }),
});

export const updateMessage = defineAction({
  id: 'update_message',
  title: 'Change a message',
  effects: 'write',
  // The whole content is replaced: twice is as good as once.
  idempotency: 'natural',
  credential: slack,
  input: {
    type: 'object',
    properties: { channel, ts, ...content },
    required: ['channel', 'ts'],
    anyOf: someContent,
    additionalProperties: false,
  },
  output: sent,
  http: post('chat.update', { body: '{{ input }}', output: sentOutput }),
});

export const deleteMessage = defineAction({
  id: 'delete_message',
  title: 'Delete a message',
  // A second time Slack answers message_not_found, which says nothing about the first.
  effects: 'write',
  idempotency: 'none',
  credential: slack,
  input: {
    type: 'object',
    properties: { channel, ts },
    required: ['channel', 'ts'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: { ok: { const: true }, channel: { type: 'string' }, ts: { type: 'string' } },
    required: ['ok', 'channel', 'ts'],
  },
  http: post('chat.delete', {
    body: '{{ input }}',
    output: { ok: true, channel: '{{ response.body.channel }}', ts: '{{ response.body.ts }}' },
  }),
});

export const addReaction = defineAction({
  id: 'add_reaction',
  title: 'React to a message',
  effects: 'write',
  // Slack refuses a second one with already_reacted, which is what was wanted.
  idempotency: 'natural',
  credential: slack,
  input: {
    type: 'object',
    properties: {
      channel,
      ts,
      name: { type: 'string', minLength: 1, description: 'Of the emoji, such as thumbsup.' },
    },
    required: ['channel', 'ts', 'name'],
    additionalProperties: false,
  },
  output: { type: 'object', properties: { ok: { const: true } }, required: ['ok'] },
  http: post('reactions.add', {
    body: {
      channel: '{{ input.channel }}',
      timestamp: '{{ input.ts }}',
      name: '{{ replace(input.name, ":", "") }}',
    },
    okWhen: 'response.body.ok == true || response.body.error == "already_reacted"',
    output: { ok: true },
  }),
});

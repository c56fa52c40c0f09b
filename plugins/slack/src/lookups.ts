import { defineAction } from '@stepwell/plugin-sdk';

import { slack } from './credential.js';
import { get } from './web-api.js';

export const listChannels = defineAction({
  id: 'list_channels',
  title: 'List channels',
  description: 'One page; give `next_cursor` as `cursor` for the next.',
  effects: 'read',
  credential: slack,
  input: {
    type: 'object',
    properties: {
      cursor: { type: ['string', 'null'] },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 200 },
      types: {
        type: 'array',
        items: { enum: ['public_channel', 'private_channel', 'mpim', 'im'] },
        minItems: 1,
        default: ['public_channel'],
      },
      exclude_archived: { type: 'boolean', default: true },
    },
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      ok: { const: true },
      channels: { type: 'array', items: { type: 'object' } },
      next_cursor: { type: ['string', 'null'], description: 'Null on the last page.' },
    },
    required: ['ok', 'channels', 'next_cursor'],
  },
  http: get('conversations.list', {
    query: {
      cursor: '{{ default(input.cursor, null) }}',
      limit: '{{ input.limit ?? 200 }}',
      types: '{{ join(input.types ?? split("public_channel", ","), ",") }}',
      exclude_archived: '{{ input.exclude_archived ?? true }}',
    },
    output: {
      ok: true,
      channels: '{{ response.body.channels }}',
      next_cursor: '{{ default(response.body.response_metadata.next_cursor, null) }}',
    },
  }),
});

export const lookupUserByEmail = defineAction({
  id: 'lookup_user_by_email',
  title: 'Find a person by e-mail address',
  effects: 'read',
  credential: slack,
  input: {
    type: 'object',
    properties: { email: { type: 'string', minLength: 3 } },
    required: ['email'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      ok: { const: true },
      user: {
        type: 'object',
        properties: { id: { type: 'string', description: 'Takes messages as a `channel`.' } },
        required: ['id'],
      },
    },
    required: ['ok', 'user'],
  },
  http: get('users.lookupByEmail', {
    query: { email: '{{ input.email }}' },
    output: { ok: true, user: '{{ response.body.user }}' },
  }),
});

import { defineCredential } from '@stepwell/plugin-sdk';

export const slack = defineCredential({
  id: 'slack',
  title: 'Slack bot',
  description: 'The bot token of an app that is installed in a workspace.',
  kind: 'custom',
  fields: {
    bot_token: { title: 'Bot token', description: 'Begins with "xoxb-".', secret: true },
    base_url: {
      title: 'Base URL',
      description: 'Of the Web API; another one only for a proxy.',
      default: 'https://slack.com/api',
      format: 'url',
    },
  },
  hosts: [{ fromField: 'base_url' }],
  inject: { headers: { authorization: 'Bearer {{secret.bot_token}}' } },
  test: {
    method: 'POST',
    url: '{{credential.base_url}}/auth.test',
    expect: { pointer: '/ok', equals: true },
  },
});

import { defineCredential } from '@stepwell/plugin-sdk';

export const openai = defineCredential({
  id: 'openai',
  title: 'OpenAI',
  description: 'An API key of OpenAI, or of a service that speaks the same API.',
  kind: 'api_key',
  fields: {
    api_key: { title: 'API key', description: 'Begins with "sk-".' },
    base_url: {
      title: 'Base URL',
      description: 'Of a compatible service, with its version, such as https://llm.example.com/v1.',
      default: 'https://api.openai.com/v1',
      format: 'url',
    },
  },
  hosts: [{ fromField: 'base_url' }],
  inject: { headers: { authorization: 'Bearer {{secret.api_key}}' } },
  test: { method: 'GET', url: '{{credential.base_url}}/models' },
});

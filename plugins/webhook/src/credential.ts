import { defineCredential } from '@stepwell/plugin-sdk';

export const webhook = defineCredential({
  id: 'webhook',
  title: 'Signed webhook',
  description: 'Where webhooks go, and the secret that proves where they come from.',
  kind: 'custom',
  fields: {
    endpoint: {
      title: 'Endpoint',
      description: 'The URL of the receiver. The secret signs requests to its origin alone.',
      format: 'url',
    },
    secret: {
      title: 'Signing secret',
      description: '"whsec_" and base64, or any text, which is then used as it is.',
      secret: true,
    },
  },
  hosts: [{ fromField: 'endpoint' }],
  inject: { sign: { scheme: 'standard-webhooks', secret: '{{secret.secret}}' } },
});

import { defineAction } from '@stepwell/plugin-sdk';

import { openai } from './credential.js';
import { failureUnless, usage } from './errors.js';

const vector = { type: 'array', items: { type: 'number' } } as const;

export const embeddings = defineAction({
  id: 'embeddings',
  title: 'Embeddings',
  description: 'Turns texts into vectors, one for each.',
  // Nothing is changed by it. Sending it again after a lost answer costs its tokens once more.
  effects: 'read',
  credential: openai,
  input: {
    type: 'object',
    properties: {
      input: {
        anyOf: [
          { type: 'string', minLength: 1 },
          { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, maxItems: 2048 },
        ],
      },
      model: { type: 'string', minLength: 1, default: 'text-embedding-3-small' },
      dimensions: { type: 'integer', minimum: 1 },
    },
    required: ['input'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      embeddings: { type: 'array', items: vector, description: 'In the order of the input.' },
      embedding: { ...vector, description: 'The first one.' },
      model: { type: ['string', 'null'] },
      usage,
    },
    required: ['embeddings', 'embedding', 'model', 'usage'],
  },
  http: {
    method: 'POST',
    url: '{{ credential.base_url }}/embeddings',
    body: {
      model: '{{ input.model ?? "text-embedding-3-small" }}',
      input: '{{ input.input }}',
      dimensions: '{{ input.dimensions }}',
    },
    ...failureUnless('response.body.data[0].embedding', 'embeddings'),
    output: {
      embeddings: { $each: 'response.body.data', do: '{{ item.embedding }}' },
      embedding: '{{ response.body.data[0].embedding }}',
      model: '{{ response.body.model ?? null }}',
      usage: '{{ response.body.usage ?? null }}',
    },
  },
});

import { defineAction } from '@stepwell/plugin-sdk';

import { openai } from './credential.js';
import { failureUnless, usage } from './errors.js';

/** Members of the request's body that are sent as they are given, and not at all when they aren't. */
const options = {
  temperature: { type: 'number', minimum: 0, maximum: 2 },
  top_p: { type: 'number', minimum: 0, maximum: 1 },
  max_tokens: { type: 'integer', minimum: 1 },
  max_completion_tokens: {
    type: 'integer',
    minimum: 1,
    description: 'What newer models take instead of max_tokens.',
  },
  stop: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, maxItems: 4 }] },
  response_format: { type: 'object', description: 'Such as { "type": "json_object" }.' },
  seed: { type: 'integer' },
  tools: { type: 'array', items: { type: 'object' } },
  tool_choice: { anyOf: [{ type: 'string' }, { type: 'object' }] },
  presence_penalty: { type: 'number', minimum: -2, maximum: 2 },
  frequency_penalty: { type: 'number', minimum: -2, maximum: 2 },
  user: { type: 'string' },
  reasoning_effort: { type: 'string', description: 'Such as minimal, low, medium or high.' },
  verbosity: { type: 'string', description: 'low, medium or high.' },
  parallel_tool_calls: { type: 'boolean' },
  logit_bias: { type: 'object', additionalProperties: { type: 'number' } },
  service_tier: { type: 'string' },
  store: { type: 'boolean' },
  metadata: { type: 'object', additionalProperties: { type: 'string' } },
  prompt_cache_key: { type: 'string' },
  safety_identifier: { type: 'string' },
} as const;

const named = Object.keys(options)
  .map((name) => `"${name}"`)
  .join(', ');

const message = {
  type: 'object',
  properties: {
    role: { type: 'string', description: 'system, developer, user, assistant or tool.' },
    content: { description: 'A text, or a list of parts.' },
  },
  required: ['role'],
} as const;

export const chatCompletion = defineAction({
  id: 'chat_completion',
  title: 'Chat completion',
  description: 'Lets a model answer one prompt, or go on with a conversation.',
  // Nothing is changed by it. Sending it again after a lost answer costs its tokens once more.
  effects: 'read',
  credential: openai,
  input: {
    type: 'object',
    properties: {
      prompt: {
        type: 'string',
        minLength: 1,
        description: 'What the user says, after `messages`.',
      },
      messages: { type: 'array', items: message, minItems: 1 },
      system: { type: 'string', description: 'Stands before the prompt or the messages.' },
      model: { type: 'string', minLength: 1, default: 'gpt-4o-mini' },
      ...options,
      extra_body: {
        type: 'object',
        description:
          'More members of the request for compatible services, such as { "top_k": 40 }.',
      },
    },
    anyOf: [{ required: ['prompt'] }, { required: ['messages'] }],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      text: {
        type: ['string', 'null'],
        description: 'Of the first choice; null when the model calls tools instead.',
      },
      message: { type: ['object', 'null'], description: 'The first choice, with its tool calls.' },
      model: { type: ['string', 'null'], description: 'The model that answered.' },
      finish_reason: {
        type: ['string', 'null'],
        description: 'stop, length, tool_calls or content_filter.',
      },
      usage,
    },
    required: ['text', 'message', 'model', 'finish_reason', 'usage'],
  },
  http: {
    method: 'POST',
    url: '{{ credential.base_url }}/chat/completions',
    body: {
      // An answer that comes in pieces is none that a template can read.
      $spread: `omit(merge(input.extra_body, pick(input, ${named})), "stream")`,
      model: '{{ input.model ?? "gpt-4o-mini" }}',
      messages: {
        $each:
          'concat(entries(pick(input, "system")), input.messages ?? slice(entries(input), 0, 0), entries(pick(input, "prompt")))',
        as: 'part',
        do: {
          $if: 'part.role != null',
          then: '{{ part }}',
          else: {
            role: '{{ part.key == "system" ? "system" : "user" }}',
            content: '{{ part.value }}',
          },
        },
      },
    },
    ...failureUnless('response.body.choices[0].message', 'chat_completion'),
    output: {
      text: '{{ response.body.choices[0].message.content ?? null }}',
      message: '{{ response.body.choices[0].message ?? null }}',
      model: '{{ response.body.model ?? null }}',
      finish_reason: '{{ response.body.choices[0].finish_reason ?? null }}',
      usage: '{{ response.body.usage ?? null }}',
    },
  },
});

import { defineAction, definePlugin } from '@stepwell/plugin-sdk';

const MAX_SECONDS = 31_536_000;

const resumedAt = { type: 'string', format: 'date-time', description: 'When the step went on.' };

const timeoutSeconds = {
  type: 'number',
  minimum: 1,
  maximum: MAX_SECONDS,
  description: 'The step fails with wait.timed_out when nothing came by then. Absent: it waits on.',
};

const delay = defineAction({
  id: 'delay',
  title: 'Wait for some time',
  description: 'Goes on after so many seconds.',
  input: {
    type: 'object',
    properties: {
      seconds: { type: 'number', minimum: 0, maximum: MAX_SECONDS, description: 'At most a year.' },
    },
    required: ['seconds'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: { resumed_at: resumedAt },
    required: ['resumed_at'],
  },
  wait: { kind: 'timer', seconds: '{{ input.seconds }}' },
});

const until = defineAction({
  id: 'until',
  title: 'Wait until a moment',
  description: 'Goes on at a moment; at once when that has passed.',
  input: {
    type: 'object',
    properties: {
      at: {
        type: 'string',
        format: 'date-time',
        pattern: 'T.*(Z|[+-][0-9]{2}:[0-9]{2})$',
        description: 'ISO 8601 with an offset or Z, such as 2027-01-31T09:00:00+01:00.',
      },
    },
    required: ['at'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: { resumed_at: resumedAt },
    required: ['resumed_at'],
  },
  wait: { kind: 'timer', until: '{{ input.at }}' },
});

const callback = defineAction({
  id: 'callback',
  title: 'Wait for a call',
  description: 'Goes on when somebody posts JSON to the URL of the wait.',
  input: {
    type: 'object',
    properties: { timeout_seconds: timeoutSeconds },
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: { payload: { description: 'The JSON that was posted.' }, resumed_at: resumedAt },
    required: ['payload', 'resumed_at'],
  },
  wait: { kind: 'callback', timeoutSeconds: '{{ input.timeout_seconds }}' },
});

const approval = defineAction({
  id: 'approval',
  title: 'Wait for a decision',
  description: 'Goes on when somebody has approved or refused. A refusal is no failure.',
  input: {
    type: 'object',
    properties: {
      message: {
        type: 'string',
        minLength: 1,
        maxLength: 2000,
        description: 'What is to be decided.',
      },
      timeout_seconds: timeoutSeconds,
    },
    required: ['message'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      approved: { type: 'boolean' },
      comment: { type: ['string', 'null'], description: 'What they wrote with it.' },
      resumed_at: resumedAt,
    },
    required: ['approved', 'comment', 'resumed_at'],
  },
  wait: {
    kind: 'approval',
    message: '{{ input.message }}',
    timeoutSeconds: '{{ input.timeout_seconds }}',
  },
});

export default definePlugin({
  id: 'wait',
  title: 'Wait',
  description: 'Lets a plan rest: for a time, a call from outside, a decision. Pure data.',
  actions: [delay, until, callback, approval],
});

import { defineAction, definePlugin } from '@stepwell/plugin-sdk';

const run = defineAction({
  id: 'run',
  title: 'Run a plan',
  description:
    'Runs another plan and gives its output. Fails with sub_plan.failed when that fails.',
  input: {
    type: 'object',
    properties: {
      plan_id: {
        type: 'string',
        format: 'uuid',
        description: 'The plan; its newest version runs.',
      },
      input: { description: 'What it gets as its input.' },
    },
    required: ['plan_id'],
    additionalProperties: false,
  },
  output: {
    type: 'object',
    properties: {
      execution_id: { type: 'string', format: 'uuid' },
      output: { description: 'The output of that execution.' },
    },
    required: ['execution_id', 'output'],
  },
  wait: { kind: 'plan', planId: '{{ input.plan_id }}', input: '{{ input.input }}' },
});

export default definePlugin({
  id: 'plan',
  title: 'Plan',
  description: 'Runs plans from plans. Pure data.',
  actions: [run],
});

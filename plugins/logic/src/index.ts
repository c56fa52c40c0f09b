import { defineAction, definePlugin } from '@stepwell/plugin-sdk';

const transform = defineAction({
  id: 'transform',
  title: 'Transform',
  description: 'Gives the value that the step spells out, with its references resolved.',
  effects: 'none',
  input: {
    type: 'object',
    properties: {
      template: { description: 'The output: any JSON whose strings may hold references.' },
      value: { description: 'The output; an older name for `template`, which wins.' },
    },
    anyOf: [{ required: ['template'] }, { required: ['value'] }],
  },
  output: { description: 'The value itself.' },
  value: '{{ coalesce(input.template, input.value) }}',
});

const set = defineAction({
  id: 'set',
  title: 'Set values',
  description: 'Gives an object of named values for later steps to refer to.',
  effects: 'none',
  input: {
    type: 'object',
    properties: { values: { type: 'object', description: 'Names and their values.' } },
    required: ['values'],
  },
  output: { type: 'object', description: 'The values, by name.' },
  value: '{{ input.values }}',
});

export default definePlugin({
  id: 'logic',
  title: 'Logic',
  description: 'Makes values from values. Pure data: nothing runs in an isolate.',
  actions: [transform, set],
});

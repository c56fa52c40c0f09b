import { defineAction, InvalidInput, type JsonValue } from '@stepwell/plugin-sdk';

export const javascript = defineAction({
  id: 'javascript',
  title: 'Run JavaScript',
  description:
    'Runs the body of an async function that sees `input` and `fetch`. What it returns is the output.',
  // Nobody knows what a plan's code does, so it is never sent again by itself.
  effects: 'write',
  generic: true,
  input: {
    type: 'object',
    properties: {
      source: {
        type: 'string',
        description: 'Body of an async function, such as `return input.a + 1`.',
      },
      input: { description: 'What `input` is inside; null when it is left out.' },
    },
    required: ['source'],
  },
  output: { description: 'What the function returned; null when it returned nothing.' },
  async run({ input }) {
    const run = compile(input.source);
    return (await run(input.input ?? null)) ?? null;
  },
});

type Body = (input: JsonValue) => Promise<JsonValue | undefined>;

/** Not a global: only reachable from an async function. */
const { constructor: AsyncFunction } = Object.getPrototypeOf(async () => {
  // Never called.
}) as { constructor: new (parameter: string, body: string) => Body };

/**
 * Compiles in the isolate's own realm, under the limits of the call.
 * @throws InvalidInput when the source isn't JavaScript
 */
function compile(source: string): Body {
  try {
    return new AsyncFunction('input', source);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new InvalidInput(`the source isn't JavaScript: ${cause.message}`, {
      pointer: '/source',
      cause,
    });
  }
}

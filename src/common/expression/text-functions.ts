import { Arguments } from './arguments.js';
import { findLiteral } from './find-literal.js';
import type { CallContext, ExpressionFunction } from './function-spec.js';
import { equalJson, typeName, writeAsText } from './values.js';

export const TEXT_FUNCTIONS: readonly ExpressionFunction[] = [
  {
    name: 'upper',
    minArgs: 1,
    maxArgs: 1,
    usage: 'upper(text)',
    description: 'The text in capital letters, by Unicode, independent of the locale.',
    call: (args, context) => {
      const text = new Arguments(args, context).text(0);
      context.meter.grow(text.length);
      return text.toUpperCase();
    },
  },
  {
    name: 'lower',
    minArgs: 1,
    maxArgs: 1,
    usage: 'lower(text)',
    description: 'The text in small letters, by Unicode, independent of the locale.',
    call: (args, context) => {
      const text = new Arguments(args, context).text(0);
      context.meter.grow(text.length);
      return text.toLowerCase();
    },
  },
  {
    name: 'trim',
    minArgs: 1,
    maxArgs: 1,
    usage: 'trim(text)',
    description: 'The text without white space at its ends.',
    call: (args, context) => new Arguments(args, context).text(0).trim(),
  },
  {
    name: 'join',
    minArgs: 1,
    maxArgs: 2,
    usage: 'join(list, separator?)',
    description: 'The items of a list as one text; the separator is a comma unless given.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const items = given.items(0);
      const separator = args[1] === undefined ? ',' : given.text(1);
      context.meter.grow(separator.length * items.length);
      const texts = items.map((item) => writeAsText(item, context.meter));
      context.meter.grow(texts.reduce((sum, text) => sum + text.length, 0));
      return texts.join(separator);
    },
  },
  {
    name: 'split',
    minArgs: 2,
    maxArgs: 2,
    usage: 'split(text, separator)',
    description: 'The parts of a text between a literal separator; with "" its characters.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const text = given.text(0);
      const separator = given.text(1);
      if (separator === '') {
        context.meter.step(text.length);
        context.meter.grow(text.length * 2);
        return Array.from(text);
      }
      return cutAt(text, separator, context);
    },
  },
  {
    name: 'replace',
    minArgs: 3,
    maxArgs: 3,
    usage: 'replace(text, search, replacement)',
    description: 'The text with every occurrence of a literal text replaced.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const [text, search, replacement] = [given.text(0), given.text(1), given.text(2)];
      if (search === '') throw given.wrong(1, 'text that is not empty');
      const parts = cutAt(text, search, context);
      context.meter.grow((parts.length - 1) * replacement.length);
      return parts.join(replacement);
    },
  },
  {
    name: 'contains',
    minArgs: 2,
    maxArgs: 2,
    usage: 'contains(textOrList, part)',
    description: 'Whether a text holds a text, or a list holds an item equal to the given value.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      if (typeof args[0] === 'string') return holdsText(args[0], given.text(1), context);
      return given.items(0).some((item) => equalJson(item, args[1], context.meter));
    },
  },
  {
    name: 'startsWith',
    minArgs: 2,
    maxArgs: 2,
    usage: 'startsWith(text, part)',
    description: 'Whether a text begins with another.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      return given.text(0).startsWith(given.text(1));
    },
  },
  {
    name: 'endsWith',
    minArgs: 2,
    maxArgs: 2,
    usage: 'endsWith(text, part)',
    description: 'Whether a text ends with another.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      return given.text(0).endsWith(given.text(1));
    },
  },
  {
    name: 'string',
    minArgs: 1,
    maxArgs: 1,
    usage: 'string(value)',
    description: 'The value as text: null as "", lists and objects as JSON.',
    call: ([value], { meter }) => writeAsText(value, meter),
  },
  {
    name: 'base64',
    minArgs: 1,
    maxArgs: 1,
    usage: 'base64(text)',
    description: 'The UTF-8 bytes of a text in base64 (RFC 4648, section 4).',
    call: (args, context) => {
      const text = new Arguments(args, context).text(0);
      context.meter.grow(text.length * 2);
      return Buffer.from(text, 'utf8').toString('base64');
    },
  },
  {
    name: 'urlEncode',
    minArgs: 1,
    maxArgs: 1,
    usage: 'urlEncode(value)',
    description: 'The value as text, percent-encoded for one part of a URL.',
    call: ([value], context) => {
      const text = writeAsText(value, context.meter);
      context.meter.convert(text.length);
      context.meter.grow(text.length);
      if (!text.isWellFormed())
        throw context.error(`expects well-formed text, got ${typeName(value)}`);
      const encoded = encodeURIComponent(text);
      context.meter.grow(encoded.length - text.length);
      return encoded;
    },
  },
];

/** The parts of a text between a literal text. */
function cutAt(text: string, search: string, { meter }: CallContext): string[] {
  meter.search(text.length + search.length);
  meter.grow(text.length);
  const parts: string[] = [];
  let from = 0;
  for (const at of findLiteral(text, search)) {
    meter.step();
    meter.grow(1);
    parts.push(text.slice(from, at));
    from = at + search.length;
  }
  parts.push(text.slice(from));
  return parts;
}

function holdsText(text: string, part: string, { meter }: CallContext): boolean {
  if (part === '') return true;
  meter.search(text.length + part.length);
  return findLiteral(text, part).next().done !== true;
}

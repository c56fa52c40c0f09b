import type { JsonObject, JsonValue } from '../json.js';
import { isJsonObject } from '../json.js';
import { Arguments } from './arguments.js';
import type { CallContext, Evaluated, ExpressionFunction } from './function-spec.js';
import { countMembers } from './members.js';
import { writeAsText } from './values.js';

const MANY = 50;

export const COLLECTION_FUNCTIONS: readonly ExpressionFunction[] = [
  {
    name: 'length',
    minArgs: 1,
    maxArgs: 1,
    usage: 'length(value)',
    description: 'Characters of a text (UTF-16 units), items of a list, members of an object.',
    call: (args, context) => {
      const [value] = args;
      if (typeof value === 'string' || Array.isArray(value)) return value.length;
      return new Arguments(args, context).members(0).length;
    },
  },
  {
    name: 'concat',
    minArgs: 1,
    maxArgs: MANY,
    usage: 'concat(a, b, ...)',
    description: 'Lists one after another; anything else as one text.',
    call: (args, context) =>
      args.every((arg) => Array.isArray(arg))
        ? concatLists(args, context)
        : concatTexts(args, context),
  },
  {
    name: 'first',
    minArgs: 1,
    maxArgs: 1,
    usage: 'first(list)',
    description: 'The first item; null when the list is empty.',
    call: ([value], context) => new Arguments([value], context).list(0)[0] ?? null,
  },
  {
    name: 'last',
    minArgs: 1,
    maxArgs: 1,
    usage: 'last(list)',
    description: 'The last item; null when the list is empty.',
    call: ([value], context) => new Arguments([value], context).list(0).at(-1) ?? null,
  },
  {
    name: 'slice',
    minArgs: 2,
    maxArgs: 3,
    usage: 'slice(textOrList, start, end?)',
    description: 'A part, from start up to but without end; negative positions count from the end.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const start = given.optionalInteger(1, 0);
      const end = given.optionalInteger(2, Number.MAX_SAFE_INTEGER);
      if (typeof args[0] === 'string') return given.text(0).slice(start, end);
      const list = given.list(0);
      const part = list.slice(start, end);
      context.meter.bulk(part.length);
      return made(part, context);
    },
  },
  {
    name: 'keys',
    minArgs: 1,
    maxArgs: 1,
    usage: 'keys(object)',
    description: 'The names of the members, in their order.',
    call: (args, context) =>
      made(
        new Arguments(args, context).members(0).map(([key]) => key),
        context,
      ),
  },
  {
    name: 'values',
    minArgs: 1,
    maxArgs: 1,
    usage: 'values(object)',
    description: 'The values of the members, in their order.',
    call: (args, context) =>
      made(
        new Arguments(args, context).members(0).map(([, value]) => value),
        context,
      ),
  },
  {
    name: 'entries',
    minArgs: 1,
    maxArgs: 1,
    usage: 'entries(object)',
    description: 'The members as a list of { "key", "value" }.',
    call: (args, context) => {
      const members = new Arguments(args, context).members(0);
      context.meter.grow(members.length * 2);
      return members.map(([key, value]) => ({ key, value }));
    },
  },
  {
    name: 'merge',
    minArgs: 1,
    maxArgs: MANY,
    usage: 'merge(object, ...)',
    description:
      'The members of all objects in one; later ones win; null and missing are passed over.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const members = args.flatMap((arg, at) =>
        arg === undefined || arg === null ? [] : given.members(at),
      );
      return makeObject(members, context);
    },
  },
  {
    name: 'pick',
    minArgs: 2,
    maxArgs: MANY,
    usage: 'pick(object, name, ...)',
    description: 'Only the named members; the names one by one or as one list.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const names = given.names(1);
      return makeObject(
        given.members(0).filter(([key]) => names.has(key)),
        context,
      );
    },
  },
  {
    name: 'omit',
    minArgs: 2,
    maxArgs: MANY,
    usage: 'omit(object, name, ...)',
    description: 'All but the named members; the names one by one or as one list.',
    call: (args, context) => {
      const given = new Arguments(args, context);
      const names = given.names(1);
      return makeObject(
        given.members(0).filter(([key]) => !names.has(key)),
        context,
      );
    },
  },
  {
    name: 'coalesce',
    minArgs: 1,
    maxArgs: MANY,
    usage: 'coalesce(a, b, ...)',
    description: 'The first argument that is neither missing nor null; else null.',
    call: (args) => args.find((arg) => arg !== undefined && arg !== null) ?? null,
  },
  {
    name: 'default',
    minArgs: 2,
    maxArgs: 2,
    usage: 'default(value, fallback)',
    description: 'The fallback when the value is missing, null, or an empty text, list or object.',
    call: ([value, fallback]) => (isEmpty(value) ? fallback : value),
  },
];

function concatLists(lists: readonly JsonValue[][], context: CallContext): JsonValue {
  const items = lists.reduce((sum, list) => sum + list.length, 0);
  context.meter.step(items);
  context.meter.grow(items);
  return lists.flat(1);
}

function concatTexts(values: readonly Evaluated[], context: CallContext): string {
  const texts = values.map((value) => writeAsText(value, context.meter));
  context.meter.grow(texts.reduce((sum, text) => sum + text.length, 0));
  return texts.join('');
}

function made(list: JsonValue[], context: CallContext): JsonValue[] {
  context.meter.grow(list.length);
  return list;
}

/** `fromEntries` defines members and never runs a setter, whatever they are called. */
function makeObject(members: readonly [string, JsonValue][], context: CallContext): JsonObject {
  context.meter.step(members.length);
  context.meter.grow(members.length);
  return Object.fromEntries(members);
}

function isEmpty(value: Evaluated): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && countMembers(value) === 0;
}

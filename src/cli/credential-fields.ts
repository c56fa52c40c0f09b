import { text } from 'node:stream/consumers';

import type { JsonValue } from '../common/json.js';
import { ask } from './ask.js';
import type { CredentialFieldView, CredentialTypeView } from './host-client.js';

/** Where the fields of a credential come from. */
export interface FieldSources {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  /** For questions: not what a pipe behind the command reads. */
  output: NodeJS.WritableStream;
  /** Readable fields of the command line, each `name=value`. */
  given: string[];
  /** All fields come as one JSON object through the input. */
  isJson: boolean;
}

/**
 * The fields of a credential: asked for in a terminal, without echo where they are secret; else the
 * one secret is what comes through the pipe. No secret ever stands on the command line, where the
 * shell's history and every process of the machine would have it.
 * @throws Error that says how to give what is missing
 */
export async function readCredentialFields(
  type: CredentialTypeView,
  sources: FieldSources,
): Promise<Record<string, JsonValue>> {
  const fields: Record<string, JsonValue> = readGiven(type, sources.given);
  if (sources.isJson) return { ...fields, ...(await readJson(sources.input)) };
  const open = type.fields.filter(({ name }) => !(name in fields));
  if (sources.input.isTTY === true) {
    for (const field of open) {
      const answer = await askFor(field, sources);
      if (answer !== '') fields[field.name] = answer;
    }
    return fields;
  }
  const missing = open.find(({ secret, required }) => !secret && required);
  if (missing) throw new Error(`"${missing.name}" is required: --field ${missing.name}=...`);
  const [secret, ...others] = open.filter((field) => field.secret);
  if (others.length > 0) {
    const names = [secret, ...others].map((field) => `"${field?.name ?? ''}"`).join(' and ');
    throw new Error(`${names} are secret: send all fields as a JSON object, with --json`);
  }
  if (secret) fields[secret.name] = await readSecret(secret, sources.input);
  return fields;
}

function readGiven(type: CredentialTypeView, given: string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((pair) => {
      const [name = '', ...rest] = pair.split('=');
      const field = type.fields.find((one) => one.name === name);
      if (!field || rest.length === 0) {
        const names = type.fields.filter(({ secret }) => !secret).map((one) => one.name);
        throw new Error(
          `--field takes name=value, with one of these names: ${names.join(', ') || '(there is none)'}`,
        );
      }
      if (field.secret) {
        throw new Error(
          `"${name}" is secret and stays out of the command line: type it when asked, or send it through a pipe`,
        );
      }
      return [name, rest.join('=')];
    }),
  );
}

async function askFor(
  field: CredentialFieldView,
  { input, output }: FieldSources,
): Promise<string> {
  const title = printable(field.title);
  const hint = field.secret
    ? ' (not shown)'
    : field.default === undefined
      ? ''
      : ` [${printable(field.default)}]`;
  if (field.description !== undefined) output.write(`${printable(field.description)}\n`);
  for (;;) {
    const answer = await ask(input, output, { text: `${title}${hint}: `, isHidden: field.secret });
    if (answer !== '' || !field.required) return answer;
    output.write('this one is required\n');
  }
}

/** Texts of plugins hold no orders for the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

async function readSecret(
  { name }: CredentialFieldView,
  input: NodeJS.ReadableStream,
): Promise<string> {
  // Editors and echo end a text with a line break that is no part of it.
  const secret = (await text(input)).replace(/\r?\n$/, '');
  if (secret === '') throw new Error(`nothing came through the pipe for "${name}"`);
  return secret;
}

async function readJson(input: FieldSources['input']): Promise<Record<string, JsonValue>> {
  if (input.isTTY === true) {
    throw new Error('--json reads the fields from a pipe, such as "... --json < fields.json"');
  }
  const fields = parse(await text(input));
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw new Error('--json takes one JSON object: { "field": "value" }');
  }
  return fields;
}

/** The parser's own message is kept out: it repeats what it read. */
function parse(json: string): JsonValue {
  try {
    return JSON.parse(json) as JsonValue;
  } catch {
    return null;
  }
}

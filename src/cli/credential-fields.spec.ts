import { PassThrough } from 'node:stream';

import { describe, expect, it } from '@jest/globals';

import { readCredentialFields } from './credential-fields.js';
import type { CredentialFieldView, CredentialTypeView } from './host-client.js';

const API_KEY: CredentialFieldView = {
  name: 'api_key',
  title: 'API key',
  secret: true,
  required: true,
};
const BASE_URL: CredentialFieldView = {
  name: 'base_url',
  title: 'Base URL',
  description: 'Of a compatible\u001b[2J service.',
  secret: false,
  required: false,
  default: 'https://api.vendor.example/v1',
};
const TYPE: CredentialTypeView = { id: 'vendor', fields: [API_KEY, BASE_URL] };

describe('in a terminal', () => {
  it('asks for every field, shows no secret, and leaves a default to the host', async () => {
    const terminal = openTerminal();
    const fields = terminal.read(TYPE);
    await terminal.answer('API key (not shown): ', 'sk-typed\x7fd\r');
    await terminal.answer('Base URL [https://api.vendor.example/v1]: ', '\r');
    expect(await fields).toEqual({ api_key: 'sk-typed' });
    expect(terminal.shown()).not.toContain('sk-');
  });

  it('shows what is no secret, and lets a plugin give the terminal no orders', async () => {
    const terminal = openTerminal();
    const fields = terminal.read(TYPE);
    await terminal.answer('not shown', 'sk-typed\r');
    await terminal.answer('Base URL', 'https://other.example\r');
    expect(await fields).toEqual({ api_key: 'sk-typed', base_url: 'https://other.example' });
    expect(terminal.shown()).toContain('https://other.example');
    expect(terminal.shown()).not.toContain('\u001b[2J');
  });

  it('asks again for what is required, and not for what was given', async () => {
    const terminal = openTerminal();
    const fields = terminal.read(TYPE, ['base_url=https://a.example/?x=1']);
    await terminal.answer('not shown', '\r');
    await terminal.answer('required\nAPI key (not shown): ', 'sk-typed\r');
    expect(await fields).toEqual({ api_key: 'sk-typed', base_url: 'https://a.example/?x=1' });
    expect(terminal.shown()).not.toContain('Base URL');
  });

  it.each([
    ['\x03', 'interrupted'],
    ['\x04', 'interrupted'],
    ['-----BEGIN KEY-----\rMIIB\r-----END KEY-----', 'several lines'],
    ['-----BEGIN KEY-----\rMIIB', 'several lines'],
  ])('stores nothing after %j', async (typed, reason) => {
    const terminal = openTerminal();
    const refused = expect(terminal.read(TYPE)).rejects.toThrow(reason);
    await terminal.answer('not shown', typed);
    await refused;
    expect(terminal.shown()).not.toContain('KEY-----');
  });

  it('takes the echo from the terminal before it asks, so that nobody types too early', async () => {
    const terminal = openTerminal();
    const fields = terminal.read({ ...TYPE, fields: [API_KEY] });
    await terminal.answer('not shown', 'sk-typed\r');
    await fields;
    expect(terminal.shownAtFirstRaw()).toBe('');
  });

  it('wants JSON through a pipe, where nothing is shown', async () => {
    await expect(openTerminal().read(TYPE, [], true)).rejects.toThrow('--json reads');
  });
});

describe('through a pipe', () => {
  it.each([
    ['sk-piped', 'sk-piped'],
    ['sk-piped\n', 'sk-piped'],
    ['sk-piped\r\n', 'sk-piped'],
    [
      '-----BEGIN KEY-----\nMIIB\n-----END KEY-----\n',
      '-----BEGIN KEY-----\nMIIB\n-----END KEY-----',
    ],
  ])('takes %j as the secret, without its last line break', async (sent, secret) => {
    expect(await readPipe(sent, TYPE, ['base_url=https://a.example'])).toEqual({
      api_key: secret,
      base_url: 'https://a.example',
    });
  });

  it('takes all fields as JSON', async () => {
    const json = '{ "api_key": "sk-piped" }';
    expect(await readPipe(json, TYPE, [], true)).toEqual({ api_key: 'sk-piped' });
  });

  const pair: CredentialTypeView = {
    id: 'pair',
    fields: [API_KEY, { ...API_KEY, name: 'api_secret' }],
  };
  const endpoint: CredentialTypeView = {
    id: 'signed',
    fields: [API_KEY, { ...BASE_URL, name: 'endpoint', required: true }],
  };
  it.each([
    ['', TYPE, [], false, 'nothing came through the pipe for "api_key"'],
    [
      'x',
      pair,
      [],
      false,
      '"api_key" and "api_secret" are secret: send all fields as a JSON object',
    ],
    ['x', endpoint, [], false, '"endpoint" is required: --field endpoint=...'],
    ['sk-1', TYPE, [], true, /^--json takes one JSON object/],
    ['["sk-1"]', TYPE, [], true, /^--json takes one JSON object/],
    ['', TYPE, ['api_key=sk-1'], false, /^"api_key" is secret and stays out of the command line/],
    ['', TYPE, ['url=https://a.example'], false, /one of these names: base_url$/],
    ['', TYPE, ['base_url'], false, /^--field takes name=value/],
  ])('of %j says what to do', async (sent, type, given, isJson, reason) => {
    const refusal = readPipe(sent, type, given, isJson);
    await expect(refusal).rejects.toThrow(reason);
    await expect(refusal).rejects.not.toThrow('sk-1');
  });
});

function openTerminal(): {
  read: (type: CredentialTypeView, given?: string[], isJson?: boolean) => Promise<object>;
  answer: (question: string, typed: string) => Promise<void>;
  shown: () => string;
  shownAtFirstRaw: () => string | null;
} {
  let shownAtFirstRaw: string | null = null;
  const setRawMode = (): void => {
    shownAtFirstRaw ??= shown;
  };
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode });
  const output = new PassThrough();
  let shown = '';
  let answered = 0;
  output.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  return {
    read: (type, given = [], isJson = false) =>
      readCredentialFields(type, { input, output, given, isJson }),
    answer: async (question, typed) => {
      while (!shown.slice(answered).includes(question)) await new Promise(setImmediate);
      answered = shown.length;
      input.write(typed);
    },
    shown: () => shown,
    shownAtFirstRaw: () => shownAtFirstRaw,
  };
}

async function readPipe(
  sent: string,
  type: CredentialTypeView,
  given: string[],
  isJson = false,
): Promise<object> {
  const input = new PassThrough();
  input.end(sent);
  return await readCredentialFields(type, { input, output: new PassThrough(), given, isJson });
}

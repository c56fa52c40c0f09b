import { createHmac } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';

import { afterEach, describe, expect, it } from '@jest/globals';
import type { CredentialInject } from '@stepwell/plugin-sdk';

import type { OutboundResponse } from '../sandbox/sandbox.js';
import { CredentialUnreadableError } from './credential.js';
import type { EgressCredential } from './credential.js';
import {
  closeAll,
  gatewayWith,
  grant,
  listen,
  refusal,
  request,
  send,
  text,
  toLoopback,
} from './gateway.harness.js';
import type { Listener } from './gateway.harness.js';
import { REDACTED } from './redaction.js';

const SECRET = 'sk-canary/7+9=';
const NO_SIGNAL = new AbortController().signal;

afterEach(closeAll);

interface Opened extends EgressCredential {
  opened: number;
}

function credential(
  hosts: string[],
  inject: CredentialInject = { headers: { 'X-Api-Key': '{{secret.api_key}}' } },
  changes: Partial<EgressCredential> = {},
): Opened {
  const made: Opened = {
    hosts,
    inject,
    fields: { username: 'ada', account: 'acc 1' },
    opened: 0,
    openSecrets: async () => {
      made.opened += 1;
      return Promise.resolve({ api_key: SECRET, password: 'pass:wörd' });
    },
    ...changes,
  };
  return made;
}

function originOf({ port }: Listener): string {
  return `http://127.0.0.1:${String(port)}`;
}

/** All that a server was told, as text. */
function received({ requests, bodies }: Listener): string {
  const heads = requests.map(({ url, rawHeaders }) => [url, rawHeaders]);
  return decodeURIComponent(JSON.stringify([heads, bodies]));
}

function redirect(location: () => string, status = 302): RequestListener {
  return (_, response) => response.writeHead(status, { location: location() }).end();
}

function whole(response: OutboundResponse): string {
  return JSON.stringify([response, text(response)]);
}

describe('placement', () => {
  async function place(inject: CredentialInject, asked = '/', changes = {}) {
    const listener = await listen();
    const used = credential([originOf(listener)], inject);
    const answer = await send(
      gatewayWith({ allowText: '127.0.0.1' }),
      request(`${originOf(listener)}${asked}`, changes),
      { credential: used },
    );
    const [got] = listener.requests as [IncomingMessage];
    return { got, answer, listener, used };
  }

  it('sets a header, in place of those that the plugin has set', async () => {
    const { got } = await place({ headers: { 'X-Api-Key': '{{secret.api_key}}' } }, '/', {
      headers: [
        ['x-API-key', 'own'],
        ['X-Api-Key', 'another'],
        ['x-other', 'kept'],
      ],
    });
    expect([got.headers['x-api-key'], got.headers['x-other']]).toEqual([SECRET, 'kept']);
  });

  it('sets a bearer token, and mixes fields and text', async () => {
    const { got } = await place({
      headers: {
        authorization: 'Bearer {{secret.api_key}}',
        'x-account': '{{credential.account}}/{{credential.username}}',
      },
    });
    expect([got.headers.authorization, got.headers['x-account']]).toEqual([
      `Bearer ${SECRET}`,
      'acc 1/ada',
    ]);
  });

  it('sets a query parameter, which the shown URL does not hold', async () => {
    const { got, answer, listener } = await place(
      { query: { 'api key': '{{secret.api_key}}' } },
      '/v1?a=%20b&api+key=own&api%20key=other&c&a=2#part',
    );
    expect(got.url).toBe(`/v1?a=%20b&c&a=2&api%20key=${encodeURIComponent(SECRET)}`);
    expect(answer.url).toBe(`${originOf(listener)}/v1?a=%20b&api+key=own&api%20key=other&c&a=2`);
  });

  it('sets user name and password by RFC 7617, in UTF-8', async () => {
    const { got } = await place({
      basic: { username: '{{credential.username}}', password: '{{secret.password}}' },
    });
    const [scheme, payload] = got.headers.authorization?.split(' ') ?? [];
    expect([scheme, Buffer.from(payload ?? '', 'base64').toString()]).toEqual([
      'Basic',
      'ada:pass:wörd',
    ]);
  });

  it('signs the body by Standard Webhooks, with the id of the plugin or one of its own', async () => {
    const inject: CredentialInject = {
      sign: { scheme: 'standard-webhooks', secret: '{{secret.api_key}}' },
    };
    for (const headers of [[], [['Webhook-Id', 'run:1:0']]]) {
      const { got } = await place(inject, '/', {
        method: 'POST',
        headers,
        body: Buffer.from('{"ü":1}'),
      });
      const id = String(got.headers['webhook-id']);
      const timestamp = String(got.headers['webhook-timestamp']);
      expect(id).toMatch(headers.length === 0 ? /^msg_[0-9a-f-]{36}$/ : /^run:1:0$/);
      expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(60);
      const expected = createHmac('sha256', SECRET)
        .update(`${id}.${timestamp}.{"ü":1}`)
        .digest('base64');
      expect(got.headers['webhook-signature']).toBe(`v1,${expected}`);
    }
  });

  it('signs no id that could move the timestamp', async () => {
    const inject: CredentialInject = {
      sign: { scheme: 'standard-webhooks', secret: '{{secret.api_key}}' },
    };
    const error = await refusal(
      place(inject, '/', { headers: [['webhook-id', 'a.9999999999']] }).then(
        ({ answer }) => answer,
      ),
    );
    expect([error.code, error.details]).toEqual(['egress.invalid_request', { sent: false }]);
  });

  it('fills in nothing that the plugin has written', async () => {
    const { listener } = await place({ headers: { 'x-a': 'b' } }, '/{{secret.api_key}}', {
      method: 'POST',
      headers: [['x-b', '{{secret.api_key}}']],
      body: Buffer.from('{{secret.api_key}}'),
    });
    expect(received(listener)).not.toContain(SECRET);
    expect(listener.bodies).toEqual(['{{secret.api_key}}']);
  });

  it.each<[string, CredentialInject, RegExp]>([
    ['a missing secret', { headers: { a: '{{secret.none}}' } }, /no value for its field "none"/],
    ['an inherited one', { query: { a: '{{secret.constructor}}' } }, /field "constructor"/],
    ['a secret as a field', { headers: { a: '{{credential.api_key}}' } }, /field "api_key"/],
    ['another template', { headers: { a: '{{ secret.api_key }}' } }, /\{\{secret\.field\}\}/],
    ['a line break', { headers: { a: 'x{{secret.broken}}' } }, /field "broken".*header "a"/],
    ['a character beyond Latin-1', { headers: { a: '{{secret.wide}}' } }, /field "wide"/],
    [
      'a colon in a user name',
      { basic: { username: '{{secret.password}}', password: '' } },
      /field "password" .* colon/,
    ],
    [
      'a control character in a password',
      { basic: { username: 'a', password: '{{secret.broken}}' } },
      /field "broken"/,
    ],
    ['a header of the transport', { headers: { Host: '{{secret.api_key}}' } }, /header "host"/],
    [
      'a key that is no base64',
      { sign: { scheme: 'standard-webhooks', secret: '{{secret.hook}}' } },
      /field "hook"/,
    ],
  ])('refuses %s and names the field', async (_, inject, message) => {
    const listener = await listen();
    const used = credential([originOf(listener)], inject, {
      openSecrets: async () =>
        Promise.resolve({
          api_key: SECRET,
          password: 'pass:word',
          broken: 'canary\r\nx-evil: 1',
          wide: 'canary✓',
          hook: 'whsec_canary!',
        }),
    });
    const error = await refusal(
      send(gatewayWith({ allowText: '127.0.0.1' }), originOf(listener), { credential: used }),
    );
    expect([error.code, error.details]).toEqual([
      'egress.failed',
      { reason: 'credential', sent: false },
    ]);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('canary');
    expect(listener.bytes()).toBe(0);
  });
});

describe('where a credential goes', () => {
  it('X02: not to a host that is not granted, though it is the own of its credential', async () => {
    const listener = await listen();
    const used = credential([originOf(listener)]);
    const error = await refusal(
      send(gatewayWith({ allowText: '127.0.0.1' }), originOf(listener), {
        hosts: ['api.example'],
        credential: used,
      }),
    );
    expect([error.details?.reason, used.opened, listener.bytes()]).toEqual([
      'host_not_granted',
      0,
      0,
    ]);
  });

  it('X02: to no granted host but its own; unchecked, it would', async () => {
    const listener = await listen();
    for (const hosts of [[], ['*'], ['api.example'], ['127.0.0.1'], ['http://127.0.0.1:1']]) {
      const used = credential(hosts);
      const gateway = gatewayWith({ allowText: '127.0.0.1' });
      const session = gateway.session(grant({ credential: used }));
      expect(text(await session.send(request(originOf(listener)), NO_SIGNAL))).toBe('hello');
      expect([used.opened, session.wasOpened, session.redactor.isEmpty]).toEqual([0, false, true]);
    }
    expect(received(listener)).not.toContain(SECRET);
    const unchecked = gatewayWith({
      allowText: '127.0.0.1',
      defences: { credentialHosts: false },
    });
    await send(unchecked, originOf(listener), { credential: credential(['api.example']) });
    expect(listener.requests.at(-1)?.headers['x-api-key']).toBe(SECRET);
  });

  it.each<[string, CredentialInject]>([
    ['a header', { headers: { 'x-api-key': '{{secret.api_key}}' } }],
    ['a query parameter', { query: { key: '{{secret.api_key}}' } }],
    ['basic', { basic: { username: 'u', password: '{{secret.api_key}}' } }],
  ])(
    'X03: %s does not follow a redirect to another origin; unchecked, it would',
    async (_, inject) => {
      const target = await listen();
      for (const location of [
        () => `${originOf(target)}/stolen`,
        () => `http://evil.example:${String(target.port)}/stolen`,
        () => `//localhost:${String(target.port)}/stolen`,
      ]) {
        const origin = await listen(redirect(location));
        const options = { allowText: '127.0.0.0/8,*.example,localhost', lookup: toLoopback };
        const used = credential([originOf(origin)], inject);
        const answer = await send(gatewayWith(options), originOf(origin), { credential: used });
        expect([answer.redirected, used.opened]).toEqual([true, 1]);
        expect(received(origin)).toMatch(/sk-canary|Basic /);
        expect(received(target)).not.toMatch(/sk-canary|Basic /);
        await send(
          gatewayWith({ ...options, defences: { credentialHosts: false } }),
          originOf(origin),
          { credential: used },
        );
        expect(received(target)).toMatch(/sk-canary|Basic /);
        target.requests.length = 0;
      }
    },
  );

  it('X03: a redirect may name neither the secret nor whom to tell', async () => {
    const origin = await listen((_, response) => {
      response.writeHead(307, { location: 'http://u:p@127.0.0.1/{{secret.api_key}}' }).end();
    });
    const error = await refusal(
      send(gatewayWith({ allowText: '127.0.0.1' }), originOf(origin), {
        credential: credential([originOf(origin)]),
      }),
    );
    expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'userinfo']);
  });

  it('stays with redirects within its origin, decided anew', async () => {
    const listener = await listen((incoming, response) => {
      if (incoming.url?.startsWith('/end') === true) response.end('arrived');
      else response.writeHead(302, { location: '/end?key=old' }).end();
    });
    const used = credential([originOf(listener)], { query: { key: '{{secret.api_key}}' } });
    const answer = await send(gatewayWith({ allowText: '127.0.0.1' }), originOf(listener), {
      credential: used,
    });
    const placed = `key=${encodeURIComponent(SECRET)}`;
    expect(listener.requests.map(({ url }) => url)).toEqual([`/?${placed}`, `/end?${placed}`]);
    expect([answer.url, used.opened]).toEqual([`${originOf(listener)}/end?key=old`, 1]);
  });

  it('by plain http only where the operator lists it', async () => {
    const listener = await listen();
    const origin = `http://plain.example:${String(listener.port)}`;
    const used = credential([origin]);
    for (const allowText of [`plain.example:${String(listener.port)}`, '127.0.0.0/8']) {
      const gateway = gatewayWith({ allowText, lookup: toLoopback });
      await send(gateway, `${origin}/`, { credential: used });
    }
    expect(listener.requests.map(({ headers }) => headers['x-api-key'])).toEqual([SECRET, SECRET]);
    // Reached although nobody lists it: a grant alone doesn't make the wire safe.
    const unlisted = gatewayWith({
      lookup: toLoopback,
      defences: { ports: false, lookup: false, remoteAddress: false },
    });
    for (const hosts of [['*'], ['http://plain.example']]) {
      const error = await refusal(send(unlisted, `${origin}/`, { hosts, credential: used }));
      expect([error.code, error.details]).toEqual([
        'egress.denied',
        { reason: 'plain_http', sent: false },
      ]);
      expect(error.message).toContain(`STEPWELL_EGRESS_ALLOW=plain.example:`);
    }
    expect([listener.requests.length, used.opened]).toEqual([2, 2]);
  });

  it('adds nothing when there is nothing to place, wherever it goes', async () => {
    const listener = await listen();
    const used = credential([originOf(listener)], {});
    await send(gatewayWith({ allowText: '127.0.0.1' }), originOf(listener), { credential: used });
    expect([listener.requests.length, used.opened]).toEqual([1, 0]);
  });
});

describe('opening', () => {
  it('once per session, also by requests at the same time, and not for readable fields', async () => {
    const listener = await listen();
    const used = credential([originOf(listener)]);
    const session = gatewayWith({ allowText: '127.0.0.1' }).session(grant({ credential: used }));
    const url = originOf(listener);
    await Promise.all([1, 2, 3].map(() => session.send(request(url), NO_SIGNAL)));
    await session.send(request(url), NO_SIGNAL);
    expect([used.opened, session.wasOpened, listener.requests.length]).toEqual([1, true, 4]);

    const readable = credential([originOf(listener)], { headers: { a: '{{credential.account}}' } });
    await send(gatewayWith({ allowText: '127.0.0.1' }), url, { credential: readable });
    expect([listener.requests.at(-1)?.headers['a'], readable.opened]).toEqual(['acc 1', 0]);
  });

  it('says when a credential can not be decrypted, and asks no more', async () => {
    const listener = await listen();
    let asked = 0;
    const used = credential([originOf(listener)], undefined, {
      openSecrets: () => {
        asked += 1;
        return Promise.reject(new CredentialUnreadableError('row 17 was moved'));
      },
    });
    const session = gatewayWith({ allowText: '127.0.0.1' }).session(grant({ credential: used }));
    for (let i = 0; i < 2; i++) {
      const error = await refusal(session.send(request(originOf(listener)), NO_SIGNAL));
      expect([error.code, error.details]).toEqual([
        'egress.failed',
        { reason: 'credential_unreadable', sent: false },
      ]);
      expect(error.message).not.toContain('17');
    }
    expect(session.credentialFailure).toBeInstanceOf(CredentialUnreadableError);
    expect([asked, session.wasOpened, listener.bytes()]).toEqual([1, false, 0]);
  });

  it('tries again when the store was away, and waits no longer than the call may', async () => {
    const listener = await listen();
    const answers = [
      () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7')),
      () => Promise.resolve({ api_key: SECRET }),
    ];
    const used = credential([originOf(listener)], undefined, {
      openSecrets: async () => answers.shift()?.() ?? Promise.resolve({}),
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const session = gateway.session(grant({ credential: used }));
    const error = await refusal(session.send(request(originOf(listener)), NO_SIGNAL));
    expect(error.details).toEqual({ reason: 'credential_unavailable', sent: false });
    expect(error.message).not.toContain('10.0.0.7');
    await session.send(request(originOf(listener)), NO_SIGNAL);
    expect([session.wasOpened, session.credentialFailure]).toEqual([true, null]);

    const stuck = credential([originOf(listener)], undefined, {
      openSecrets: () => new Promise(() => undefined),
    });
    const late = await refusal(
      send(gateway, request(originOf(listener), { timeoutMs: 20 }), { credential: stuck }),
    );
    expect([late.code, late.details]).toEqual([
      'egress.timed_out',
      { reason: 'deadline', sent: false },
    ]);
  });
});

describe('caps', () => {
  it('all have to cover a host, on each hop', async () => {
    const target = await listen();
    const origin = await listen(redirect(() => `http://b.example:${String(target.port)}/`));
    const options = { allowText: '*.example', lookup: toLoopback };
    const url = `http://a.example:${String(origin.port)}/`;
    const reached = await send(gatewayWith(options), url, {
      caps: [['*'], ['a.example', 'b.example'], ['*.example']],
    });
    expect(text(reached)).toBe('hello');
    for (const caps of [[['*'], ['a.example']], [['b.example'], ['*']], [[]]]) {
      const error = await refusal(send(gatewayWith(options), url, { caps }));
      expect([error.code, error.details?.reason]).toEqual(['egress.denied', 'host_not_permitted']);
      expect(error.message).toMatch(
        /^policy forbids this plugin to reach host "[ab]\.example"; an admin can change that$/,
      );
    }
    expect(target.requests).toHaveLength(1);
    expect(
      (await refusal(send(gatewayWith(options), url, { hosts: ['b.example'], caps: [['*']] })))
        .details?.reason,
    ).toBe('host_not_granted');
  });
});

describe('redaction', () => {
  const basic: CredentialInject = {
    headers: { 'x-api-key': '{{secret.api_key}}' },
    basic: { username: '{{credential.username}}', password: '{{secret.password}}' },
  };

  /** Tells back whatever it has been told, in every way that it can think of. */
  const echo: RequestListener = (incoming, response) => {
    const key = Buffer.from(String(incoming.headers['x-api-key']));
    const told = {
      headers: incoming.headers,
      [key.toString()]: true,
      hex: key.toString('hex'),
      base64: key.toString('base64'),
      url: encodeURIComponent(key.toString()),
      inside: Buffer.from(`key=${key.toString()}&more`).toString('base64'),
      twice: Buffer.from(String(incoming.headers.authorization)).toString('base64'),
    };
    response.statusMessage = `Not for ${key.toString()}`;
    response.setHeader('x-echo', key.toString());
    response.setHeader('x-echo-hex', key.toString('hex'));
    response.setHeader('set-cookie', [`k=${encodeURIComponent(key.toString())}`, 'ok=1']);
    response.setHeader('location', `/next?key=${encodeURIComponent(key.toString())}`);
    const body = gzipSync(JSON.stringify(told));
    response.writeHead(401, { 'content-encoding': 'gzip' });
    // In two pieces, so that no piece holds the whole.
    response.write(body.subarray(0, 60));
    setImmediate(() => response.end(body.subarray(60)));
  };

  const FORMS = [
    SECRET,
    Buffer.from(SECRET).toString('hex'),
    Buffer.from(SECRET).toString('base64'),
    encodeURIComponent(SECRET),
    Buffer.from(`key=${SECRET}&more`).toString('base64').slice(8, 24),
    Buffer.from('ada:pass:wörd').toString('base64'),
    Buffer.from(`Basic ${Buffer.from('ada:pass:wörd').toString('base64')}`)
      .toString('base64')
      .slice(10, 30),
  ];

  it('X04: an echo in status, headers and body comes back without it; unredacted, with it', async () => {
    const listener = await listen(echo);
    const used = credential([originOf(listener)], basic);
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const answer = await send(gateway, `${originOf(listener)}/?q=1`, { credential: used });
    for (const form of FORMS) expect(whole(answer)).not.toContain(form);
    expect(answer.statusText).toBe(`Not for ${REDACTED}`);
    expect(answer.headers).toEqual(
      expect.arrayContaining([
        ['x-echo', REDACTED],
        ['location', `/next?key=${REDACTED}`],
        ['set-cookie', `k=${REDACTED}`],
        ['set-cookie', 'ok=1'],
      ]),
    );
    expect(JSON.parse(text(answer))).toMatchObject({ hex: REDACTED, base64: REDACTED });

    const open = gatewayWith({ allowText: '127.0.0.1', defences: { redaction: false } });
    const leaky = await send(open, `${originOf(listener)}/`, { credential: used });
    for (const form of FORMS) expect(whole(leaky)).toContain(form);
  });

  it('X04: a body in chunks is read whole first', async () => {
    const listener = await listen((incoming, response) => {
      const key = String(incoming.headers['x-api-key']);
      response.write(`<${key.slice(0, 5)}`);
      setImmediate(() => response.end(`${key.slice(5)}>`));
    });
    const answer = await send(gatewayWith({ allowText: '127.0.0.1' }), originOf(listener), {
      credential: credential([originOf(listener)]),
    });
    expect(text(answer)).toBe(`<${REDACTED}>`);
  });

  it('X04: a Location is redacted before it is followed; unredacted, it would carry it', async () => {
    const target = await listen();
    const origin = await listen((incoming, response) => {
      const key = encodeURIComponent(String(incoming.headers['x-api-key']));
      response.writeHead(302, { location: `${originOf(target)}/?key=${key}` }).end();
    });
    const used = credential([originOf(origin)]);
    const answer = await send(gatewayWith({ allowText: '127.0.0.1' }), originOf(origin), {
      credential: used,
    });
    expect(received(target)).not.toContain(SECRET);
    expect(answer.url).toBe(`${originOf(target)}/?key=${REDACTED}`);
    const open = gatewayWith({ allowText: '127.0.0.1', defences: { redaction: false } });
    await send(open, originOf(origin), { credential: used });
    expect(received(target)).toContain(SECRET);
  });

  it('X04, X07: no error tells it', async () => {
    const origin = await listen((incoming, response) => {
      const key = Buffer.from(String(incoming.headers['x-api-key'])).toString('hex');
      response.writeHead(302, { location: `https://${key}.example/` }).end();
    });
    const options = { allowText: '127.0.0.1', lookup: () => Promise.resolve([]) };
    const used = credential([originOf(origin)]);
    const hex = Buffer.from(SECRET).toString('hex');
    const error = await refusal(send(gatewayWith(options), originOf(origin), { credential: used }));
    expect(JSON.stringify([error.message, error.details, error.stack])).not.toContain(hex);
    const open = gatewayWith({ ...options, defences: { redaction: false } });
    const leaky = await refusal(send(open, originOf(origin), { credential: used }));
    expect(leaky.message).toContain(hex);
  });

  it('X04: holds for every later answer of the session, whoever gives it', async () => {
    const keeper = await listen();
    const other = await listen((_, response) => response.end(`I was told ${SECRET}`));
    const used = credential([originOf(keeper)]);
    const session = gatewayWith({ allowText: '127.0.0.1' }).session(grant({ credential: used }));
    await session.send(request(originOf(keeper)), NO_SIGNAL);
    const answer = await session.send(request(originOf(other)), NO_SIGNAL);
    expect(text(answer)).toBe(`I was told ${REDACTED}`);
    expect(session.redactor.redactText(`log: ${SECRET}`)).toBe(`log: ${REDACTED}`);
  });

  it('keeps a body within its limit that grows by it', async () => {
    const listener = await listen((_, response) => response.end('k3y!'.repeat(20_000)));
    const used = credential([originOf(listener)], undefined, {
      openSecrets: () => Promise.resolve({ api_key: 'k3y!' }),
    });
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    const error = await refusal(send(gateway, originOf(listener), { credential: used }));
    expect(error.code).toBe('egress.response_too_large');
  });

  it('touches nothing of a call whose credential stayed sealed', async () => {
    const listener = await listen((_, response) => response.end(SECRET));
    const used = credential(['api.example']);
    const gateway = gatewayWith({ allowText: '127.0.0.1' });
    expect(text(await send(gateway, originOf(listener), { credential: used }))).toBe(SECRET);
    expect(used.opened).toBe(0);
  });
});

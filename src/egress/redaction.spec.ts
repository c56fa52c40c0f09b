import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { JsonValue } from '../common/json.js';
import { stepFailed, stepSucceeded } from '../common/provider-result.js';
import { redactHeaders, redactResult } from './redacted.js';
import { REDACTED, Redactor } from './redaction.js';

const SECRET = 'sk-Test/1+2=3 "ä<&>\'ö"';

/** Written apart from secretForms: what servers really do to a text. */
function encodings(secret: string): [name: string, encoded: string][] {
  const utf8 = Buffer.from(secret);
  const lower = (text: string): string =>
    text.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
  const unicode = (text: string): string =>
    text.replaceAll(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const url = new URL('https://a.example/');
  url.searchParams.set('key', secret);
  return [
    ['raw', secret],
    ['JSON', JSON.stringify({ secret })],
    ['JSON of PHP', unicode(JSON.stringify({ secret })).replaceAll('/', '\\/')],
    ['a component', encodeURIComponent(secret)],
    ['a component in lower case', lower(encodeURIComponent(secret))],
    ['a form', url.href],
    ['a form in lower case', lower(url.href)],
    ['hex', utf8.toString('hex')],
    ['HEX', utf8.toString('hex').toUpperCase()],
    ['base64', utf8.toString('base64')],
    ['base64 without padding', utf8.toString('base64').replace(/=+$/, '')],
    ['base64url', utf8.toString('base64url')],
    ['base64 in JSON of PHP', utf8.toString('base64').replaceAll('/', '\\/')],
    ['base64 in a URL', encodeURIComponent(utf8.toString('base64'))],
    [
      'HTML',
      secret
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll("'", '&#39;'),
    ],
  ];
}

function holds(text: string, secret: string): string[] {
  const plain = encodings(secret).filter(
    ([name, encoded]) => name !== 'JSON' && !name.includes('form') && text.includes(encoded),
  );
  return plain.map(([name]) => name);
}

describe('Redactor', () => {
  it.each(encodings(SECRET))('finds a secret as %s', (_, encoded) => {
    const redacted = new Redactor([SECRET]).redactText(`before ${encoded} after`);
    expect(redacted).toContain(REDACTED);
    expect(redacted.startsWith('before ') && redacted.endsWith(' after')).toBe(true);
    expect(redacted).not.toMatch(/sk-|Test|1\+2/);
  });

  it.each([0, 1, 2, 3, 4, 5])('finds it in base64 of a longer text, %i bytes in', (before) => {
    const text = Buffer.from(`${'x'.repeat(before)}${SECRET}and more`);
    const redactor = new Redactor([SECRET]);
    for (const encoded of [text.toString('base64'), text.toString('base64url')]) {
      const decoded = Buffer.from(
        redactor.redactText(encoded).replace(REDACTED, ''),
        'base64',
      ).toString('latin1');
      expect(redactor.redactText(encoded)).toContain(REDACTED);
      expect(decoded).not.toMatch(/Test|1\+2/);
    }
  });

  it('finds bytes of Latin-1, as headers carry them', () => {
    const redactor = new Redactor(['grüße-aus-köln']);
    const bytes = Buffer.from('x-echo: grüße-aus-köln;', 'latin1');
    expect(Buffer.from(redactor.redactBytes(bytes)).toString()).toBe(`x-echo: ${REDACTED};`);
    expect(redactor.redactText(bytes.toString('base64'))).toContain(REDACTED);
  });

  it('knows no white space around a secret: headers lose it on the way', () => {
    expect(new Redactor([' secret-key\n']).redactText('<secret-key>')).toBe(`<${REDACTED}>`);
  });

  it('takes the longest of secrets that contain each other, and all of those that overlap', () => {
    const redactor = new Redactor(['token', 'my-token-is-long', 'long-and-more']);
    expect(redactor.redactText('a my-token-is-long b token c')).toBe(
      `a ${REDACTED} b ${REDACTED} c`,
    );
    expect(redactor.redactText('a my-token-is-long-and-more b')).toBe(`a ${REDACTED} b`);
  });

  it('takes secrets of kilobytes whole, and leaves what merely begins alike', () => {
    const header =
      'eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vdC1zZWNyZXQtYnV0LWxvbmctZW5vdWdoLXRvLWhlYWQifQ.';
    const secret = `${header}${'claims+/'.repeat(400)}.signature`;
    const redactor = new Redactor([secret]);
    const other = `${header}${'claims+/'.repeat(399)}.another`;
    expect(redactor.redactText(`${other} ${secret} ${other}`)).toBe(
      `${other} ${REDACTED} ${other}`,
    );
    expect(redactor.redactText(Buffer.from(secret).toString('hex'))).toBe(REDACTED);
  });

  it('leaves secrets of less than four characters, and looks for short ones as they are', () => {
    expect(new Redactor(['abc', '']).redactText('abc')).toBe('abc');
    const pin = new Redactor(['k3y!']);
    expect(pin.redactText('the k3y! is k3y%21')).toBe(`the ${REDACTED} is ${REDACTED}`);
    const base64 = Buffer.from('k3y!').toString('base64');
    expect(pin.redactText(base64)).toBe(base64);
  });

  it('redacts keys, values and numbers of JSON, at any depth', () => {
    const redactor = new Redactor(['secret-key', '123456789']);
    const value: JsonValue = {
      a: ['x secret-key y', { 'secret-key': null, deep: [[{ b: 'c2VjcmV0LWtleQ==' }]] }],
      n: 123456789,
      other: 1.5,
    };
    expect(redactor.redactJson(value)).toEqual({
      a: [`x ${REDACTED} y`, { [REDACTED]: null, deep: [[{ b: REDACTED }]] }],
      n: REDACTED,
      other: 1.5,
    });
  });

  it('drops a header whose name holds a secret, which has lost its case there', () => {
    const redactor = new Redactor(['sK-AbCd1234', 'short-One']);
    const hex = Buffer.from('sK-AbCd1234').toString('hex');
    const base64 = Buffer.from('sK-AbCd1234').toString('base64url');
    const named = ['x-sk-abcd1234', `x-${hex}`, `x-${base64.toLowerCase()}-y`, 'short-one'];
    const kept = ['x-sk-abcd', 'date'];
    expect(
      redactHeaders(
        [...named, ...kept].map((name) => [name, 'v']),
        redactor,
      ),
    ).toEqual(kept.map((name) => [name, 'v']));
  });

  it('redacts a result in every place', () => {
    const redactor = new Redactor(['secret-key']);
    const failed = stepFailed('provider.rejected', 'no: secret-key', {
      details: { at: 'secret-key' },
      metadata: { logs: [{ level: 'info', message: 'secret-key' }] },
    });
    const result = redactResult(failed, redactor);
    expect(JSON.stringify(result)).not.toContain('secret-key');
    expect([result.error?.code, result.error?.message]).toEqual([
      'provider.rejected',
      `no: ${REDACTED}`,
    ]);
    const succeeded = stepSucceeded({ echo: 'secret-key' });
    expect(redactResult(succeeded, redactor)).toEqual(stepSucceeded({ echo: REDACTED }));
  });

  const secrets = fc.oneof(
    fc.string({ minLength: 8, maxLength: 80, unit: 'grapheme-ascii' }),
    fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme' }),
    fc.base64String({ minLength: 8, maxLength: 400 }),
  );
  // White space around a secret stays, and one inside of REDACTED can't be told from it.
  const distinct = secrets.map((secret) => `${secret.trim()}§7`).filter((s) => s.length >= 8);

  it('leaves no form of any secret in any surroundings', () => {
    fc.assert(
      fc.property(
        fc.array(distinct, { minLength: 1, maxLength: 3 }),
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'grapheme' }),
        (hidden, before, after) => {
          const redactor = new Redactor(hidden);
          for (const secret of hidden) {
            for (const [, encoded] of encodings(secret)) {
              const redacted = redactor.redactText(`${before}${encoded}${after}`);
              expect(redacted).toContain(REDACTED);
              for (const each of hidden) expect(holds(redacted, each)).toEqual([]);
            }
            const whole = Buffer.from(`${before}${secret}${after}`).toString('base64');
            const rest = redactor.redactText(whole).split(REDACTED);
            expect(rest.length).toBeGreaterThan(1);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('changes no text without a secret, and gives back the very bytes', () => {
    fc.assert(
      fc.property(
        distinct,
        fc.uint8Array({ maxLength: 500 }),
        fc.string(),
        (secret, bytes, text) => {
          const redactor = new Redactor([secret]);
          expect(redactor.redactBytes(bytes)).toBe(bytes);
          expect(redactor.redactText(text)).toBe(text);
          expect(redactor.redactJson({ text })).toEqual({ text });
        },
      ),
      { numRuns: 200 },
    );
  });
});

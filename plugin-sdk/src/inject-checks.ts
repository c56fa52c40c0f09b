import type { DefinitionChecks } from './definition-checks.js';
import { checkPlaceholders } from './inject-placeholders.js';
import type { CredentialManifest } from './manifest.js';

/** What is wrong with how a credential is placed. */
export function checkInject(
  checks: DefinitionChecks,
  { inject, fields }: CredentialManifest,
): void {
  if (!checks.onlyKeys('inject', inject, ['headers', 'query', 'basic', 'sign'])) return;
  const { headers = {}, query = {}, basic, sign } = inject;
  const isWhole = [
    checks.isObject('inject.headers', headers),
    checks.isObject('inject.query', query),
    basic === undefined || checks.onlyKeys('inject.basic', basic, ['username', 'password']),
    sign === undefined || checks.onlyKeys('inject.sign', sign, ['scheme', 'secret']),
  ].every(Boolean);
  if (!isWhole) return;
  checkHeaders(checks, 'inject.headers', headers);
  checkRivals(checks, inject);
  if (sign !== undefined && (sign.scheme as string) !== 'standard-webhooks') {
    checks.problem('inject.sign.scheme', 'must be "standard-webhooks"');
  }
  const others: Text[] = [
    ...named('inject.query', query),
    ...(basic === undefined
      ? []
      : named('inject.basic', { username: basic.username, password: basic.password })),
    ...(sign === undefined ? [] : named('inject.sign', { secret: sign.secret })),
  ];
  for (const [where, text] of others) {
    if (typeof text !== 'string') checks.problem(where, 'must be a text');
    else if (CONTROL.test(text)) {
      checks.problem(where, 'must hold no line breaks or other control characters');
    }
  }
  const withSecret = [...named('inject.headers', headers), ...others].filter(
    ([where, text]) =>
      typeof text === 'string' && checkPlaceholders(checks, { where, text, fields, secrets: true }),
  );
  if (withSecret.length > 0) return;
  const example = fields.find(({ secret }) => secret)?.name ?? 'field';
  checks.problem('inject', `places no secret: write one as {{secret.${example}}}`);
}

/** Reports headers that egress would refuse to send; `at` is the field that holds them. */
export function checkHeaders(checks: DefinitionChecks, at: string, headers: object): void {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers) as [string, unknown][]) {
    const where = `${at}.${name}`;
    const lower = name.toLowerCase();
    if (!HEADER_NAME.test(name)) {
      checks.problem(where, 'is no header name: use letters, digits and hyphens');
    } else if (TRANSPORT_HEADER.test(lower)) {
      checks.problem(where, 'belongs to the transport: egress sets it itself');
    }
    if (seen.has(lower)) checks.problem(where, 'is there twice: header names know no case');
    seen.add(lower);
    if (typeof value !== 'string') checks.problem(where, 'must be a text');
    else if (!HEADER_VALUE.test(value)) {
      checks.problem(
        where,
        'must hold no line breaks, control characters or characters beyond Latin-1',
      );
    }
  }
}

function checkRivals(
  checks: DefinitionChecks,
  { headers = {}, basic, sign }: CredentialManifest['inject'],
): void {
  for (const name of Object.keys(headers)) {
    const where = `inject.headers.${name}`;
    const lower = name.toLowerCase();
    if (basic !== undefined && lower === 'authorization') {
      checks.problem(where, 'stands beside `inject.basic`, which is that header: give one of them');
    }
    if (sign !== undefined && /^webhook-(id|timestamp|signature)$/.test(lower)) {
      checks.problem(where, 'stands beside `inject.sign`, which sets that header: leave it out');
    }
  }
}

type Text = [where: string, text: unknown];

/** RFC 9110, section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const TRANSPORT_HEADER =
  /^(host|connection|keep-alive|content-length|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|forwarded|x-real-ip|via|proxy-.*|x-forwarded-.*)$/;
/** RFC 9110, section 5.5, in Latin-1. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CONTROL = /\p{Cc}/u;

function named(where: string, texts: object): Text[] {
  return Object.entries(texts).map(([name, text]) => [`${where}.${name}`, text]);
}

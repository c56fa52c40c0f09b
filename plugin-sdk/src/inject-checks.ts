import type { DefinitionChecks } from './definition-checks.js';
import { checkPlaceholders } from './inject-placeholders.js';
import type { CredentialManifest } from './manifest.js';

/** What is wrong with how a credential is placed. */
export function checkInject(
  checks: DefinitionChecks,
  { inject, fields }: CredentialManifest,
): void {
  checks.onlyKeys('inject', inject, ['headers', 'query', 'basic', 'sign']);
  const { headers = {}, query = {}, basic, sign } = inject;
  checkHeaderNames(checks, Object.keys(headers), {
    basic: basic !== undefined,
    sign: sign !== undefined,
  });
  if (basic !== undefined) checks.onlyKeys('inject.basic', basic, ['username', 'password']);
  if (sign !== undefined) checks.onlyKeys('inject.sign', sign, ['scheme', 'secret']);
  if (sign !== undefined && (sign.scheme as string) !== 'standard-webhooks') {
    checks.problem('inject.sign.scheme', 'must be "standard-webhooks"');
  }
  const texts: [where: string, text: unknown][] = [
    ...named('inject.headers', headers),
    ...named('inject.query', query),
    ...(basic === undefined
      ? []
      : named('inject.basic', { username: basic.username, password: basic.password })),
    ...(sign === undefined ? [] : named('inject.sign', { secret: sign.secret })),
  ];
  let secrets = 0;
  for (const [where, text] of texts) {
    if (typeof text !== 'string') checks.problem(where, 'must be a text');
    else {
      if (LINE_BREAK.test(text)) checks.problem(where, 'must hold no line breaks');
      if (checkPlaceholders(checks, { where, text, fields, secrets: true })) secrets++;
    }
  }
  if (secrets > 0) return;
  const example = fields.find(({ secret }) => secret)?.name ?? 'field';
  checks.problem('inject', `places no secret: write one as {{secret.${example}}}`);
}

function checkHeaderNames(
  checks: DefinitionChecks,
  names: readonly string[],
  also: { basic: boolean; sign: boolean },
): void {
  const seen = new Set<string>();
  for (const name of names) {
    const where = `inject.headers.${name}`;
    const lower = name.toLowerCase();
    if (!HEADER_NAME.test(name)) {
      checks.problem(where, 'is no header name: use letters, digits and hyphens');
    } else if (TRANSPORT_HEADER.test(lower)) {
      checks.problem(where, 'belongs to the transport: egress sets it itself');
    }
    if (seen.has(lower)) checks.problem(where, 'is there twice: header names know no case');
    if (also.basic && lower === 'authorization') {
      checks.problem(where, 'stands beside `inject.basic`, which is that header: give one of them');
    }
    if (also.sign && /^webhook-(id|timestamp|signature)$/.test(lower)) {
      checks.problem(where, 'stands beside `inject.sign`, which sets that header: leave it out');
    }
    seen.add(lower);
  }
}

/** RFC 9110, section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const TRANSPORT_HEADER =
  /^(host|connection|keep-alive|content-length|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|forwarded|x-real-ip|via|proxy-.*|x-forwarded-.*)$/;
const LINE_BREAK = /[\r\n\0]/;

function named(where: string, texts: object): [where: string, text: unknown][] {
  return Object.entries(texts).map(([name, text]) => [`${where}.${name}`, text]);
}

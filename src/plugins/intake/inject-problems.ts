import type { CredentialField, CredentialManifest } from '@stepwell/plugin-sdk';

import { pointerToken } from '../../common/json.js';
import type { IntakeProblem } from './intake-error.js';

/** What is wrong with how a credential is placed; pointers into the credential. */
export function findInjectProblems({ kind, inject, fields }: CredentialManifest): IntakeProblem[] {
  if (kind === 'none') {
    if (Object.keys(inject).length === 0) return [];
    return [{ pointer: '/inject', detail: 'must be empty: kind "none" has no secrets' }];
  }
  const texts = Object.entries(inject).flatMap(([part, entries]: [string, object]) =>
    Object.entries(entries)
      .filter(([name]) => part !== 'sign' || name === 'secret')
      .map(([name, text]) => ({
        isHeader: part === 'headers',
        pointer: `/inject/${part}/${pointerToken(name)}`,
        text: String(text),
      })),
  );
  const problems = [
    ...findHeaderProblems(inject.headers ?? {}, '/inject/headers'),
    ...findRivalProblems(inject),
    ...texts.flatMap(({ isHeader, pointer, text }) => [
      ...(isHeader || !CONTROL.test(text)
        ? []
        : [{ pointer, detail: 'must hold no line breaks or other control characters' }]),
      ...findPlaceholderProblems({ pointer, text, fields, allowsSecrets: true }),
    ]),
  ];
  if (texts.some(({ text }) => text.includes('{{secret.'))) return problems;
  return [...problems, { pointer: '/inject', detail: 'must place a secret: {{secret.field}}' }];
}

/** Only `{{secret.x}}` (in `inject` alone) and `{{credential.x}}`, of fields that are there. */
export function findPlaceholderProblems(place: {
  pointer: string;
  text: string;
  fields: readonly CredentialField[];
  allowsSecrets: boolean;
}): IntakeProblem[] {
  const { pointer, text, fields, allowsSecrets } = place;
  const problems: IntakeProblem[] = [];
  const rest = text.replaceAll(PLACEHOLDER, (written: string, root: string, name: string) => {
    const isSecret = root === 'secret';
    if (isSecret && !allowsSecrets) {
      problems.push({ pointer, detail: `holds ${written}, which only inject may` });
    } else if (!fields.some((field) => field.name === name && field.secret === isSecret)) {
      const kind = isSecret ? 'secret' : 'readable';
      problems.push({
        pointer,
        detail: `names ${written}, but there is no ${kind} field "${name}"`,
      });
    }
    return '';
  });
  if (rest.includes('{{')) {
    const allowed = allowsSecrets
      ? '{{secret.field}} and {{credential.field}}'
      : '{{credential.field}}';
    problems.push({ pointer, detail: `may hold ${allowed}, without spaces, and no other {{...}}` });
  }
  return problems;
}

/** Headers that egress would refuse to send; `at` is where they stand. */
export function findHeaderProblems(
  headers: Readonly<Record<string, string>>,
  at: string,
): IntakeProblem[] {
  const seen = new Set<string>();
  return Object.entries(headers).flatMap(([name, value]) => {
    const lower = name.toLowerCase();
    const details = [
      ...(HEADER_NAME.test(name) ? [] : ['is no header name']),
      ...(TRANSPORT_HEADER.test(lower) ? ['belongs to the transport'] : []),
      ...(seen.has(lower) ? ['is there twice: header names know no case'] : []),
      ...(HEADER_VALUE.test(value)
        ? []
        : ['must hold no line breaks, control characters or characters beyond Latin-1']),
    ];
    seen.add(lower);
    return details.map((detail) => ({ pointer: `${at}/${pointerToken(name)}`, detail }));
  });
}

function findRivalProblems({
  headers = {},
  basic,
  sign,
}: CredentialManifest['inject']): IntakeProblem[] {
  return Object.keys(headers).flatMap((name) => {
    const lower = name.toLowerCase();
    const details = [
      ...(basic !== undefined && lower === 'authorization' ? ['is what inject.basic sets'] : []),
      ...(sign !== undefined && SIGN_HEADER.test(lower) ? ['is what inject.sign sets'] : []),
    ];
    return details.map((detail) => ({ pointer: `/inject/headers/${pointerToken(name)}`, detail }));
  });
}

const PLACEHOLDER = /\{\{(secret|credential)\.([a-z][a-z0-9_]*)\}\}/g;
/** RFC 9110, section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
/** RFC 9110, section 5.5, in Latin-1. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const CONTROL = /\p{Cc}/u;
const SIGN_HEADER = /^webhook-(id|timestamp|signature)$/;
/** What the gateway sets itself or refuses from plugins. */
const TRANSPORT_HEADER =
  /^(host|connection|keep-alive|content-length|transfer-encoding|te|trailer|upgrade|expect|accept-encoding|forwarded|x-real-ip|via|proxy-.*|x-forwarded-.*)$/;

import type { CredentialInject } from '@stepwell/plugin-sdk';

import { HostCallError } from '../sandbox/sandbox.js';
import { parseInjectTemplate } from './inject-template.js';
import type { InjectPart } from './inject-template.js';
import { isHeaderValue, isSettableHeader } from './request-head.js';
import type { Header, RequestHead } from './request-head.js';
import { webhookSignature } from './webhook-signature.js';

/** The fields of one credential, by name. */
export interface CredentialValues {
  secrets: Readonly<Record<string, string>>;
  /** Those that aren't secret. */
  fields: Readonly<Record<string, string>>;
}

export interface Placed {
  head: RequestHead;
  /** Made of secrets, and as good as one to whoever holds it. A signature isn't: it tells nothing of its key. */
  derived: string[];
}

/**
 * Puts a credential into a copy of a request. What it sets replaces what the plugin has set by the
 * same name.
 * @param request.messageId of a signed request whose plugin gives none
 * @throws HostCallError `egress.failed` with reason `credential` when it can't be placed; the message
 *   names the field, never its value
 */
export function placeCredential(request: {
  head: RequestHead;
  inject: CredentialInject;
  values: CredentialValues;
  messageId: string;
  sentAtMs: number;
}): Placed {
  const { head, inject, values } = request;
  const placed: Header[] = [];
  const derived: string[] = [];
  for (const [name, text] of Object.entries(inject.headers ?? {})) {
    placed.push(renderHeader(name, text, values));
  }
  if (inject.basic !== undefined) {
    const userPass = renderUserPass(inject.basic, values);
    derived.push(userPass);
    placed.push(['authorization', `Basic ${userPass}`]);
  }
  if (inject.sign !== undefined) placed.push(...sign(inject.sign.secret, request));
  const names = new Set(placed.map(([name]) => name));
  const headers = [...head.headers.filter(([name]) => !names.has(name)), ...placed];
  const url = withParameters(head.url, inject.query ?? {}, values);
  return { head: { ...head, url, headers }, derived };
}

/** Whether placing it takes more than its readable fields. */
export function placesSecrets(inject: CredentialInject): boolean {
  return textsOf(inject).some((text) =>
    parseInjectTemplate(text)?.some((part) => typeof part !== 'string' && part.source === 'secret'),
  );
}

export function placesNothing(inject: CredentialInject): boolean {
  return textsOf(inject).length === 0;
}

const NO_BYTES = new Uint8Array();

/** RFC 7617, 2: neither of the two may hold one. */
const CONTROL = /\p{Cc}/u;

function textsOf({ headers, query, basic, sign }: CredentialInject): string[] {
  return [
    ...Object.values(headers ?? {}),
    ...Object.values(query ?? {}),
    ...(basic === undefined ? [] : [basic.username, basic.password]),
    ...(sign === undefined ? [] : [sign.secret]),
  ];
}

/** Piece by piece, so that a piece that can't be placed is known by its name. */
type RenderedPart = [value: string, origin: InjectPart];

function render(text: string, where: string, values: CredentialValues): RenderedPart[] {
  const parts = parseInjectTemplate(text);
  if (parts === null) {
    throw unplaceable(
      `${where} of the credential holds other {{...}} than {{secret.field}} and {{credential.field}}`,
    );
  }
  return parts.map((part) => {
    if (typeof part === 'string') return [part, part];
    const from = part.source === 'secret' ? values.secrets : values.fields;
    const value = Object.hasOwn(from, part.name) ? from[part.name] : undefined;
    if (value === undefined) {
      throw unplaceable(
        `the credential has no value for its field "${part.name}", which ${where} needs; set it`,
      );
    }
    return [value.toWellFormed(), part];
  });
}

function renderHeader(name: string, text: string, values: CredentialValues): Header {
  const where = `header "${name.toLowerCase()}"`;
  if (!isSettableHeader(name)) throw unplaceable(`a credential may not set ${where}`);
  const parts = render(text, where, values);
  const value = joined(parts).trim();
  if (!isHeaderValue(value)) {
    const wrong = blame(parts, (piece) => !isHeaderValue(piece.trim()));
    throw unplaceable(
      `${wrong} holds a line break, a control character or a character beyond Latin-1, so it can't be sent in ${where}; enter it again`,
    );
  }
  return [name.toLowerCase(), value];
}

/** RFC 7617, in UTF-8. */
function renderUserPass(
  basic: { username: string; password: string },
  values: CredentialValues,
): string {
  const username = render(basic.username, 'the user name of basic', values);
  const password = render(basic.password, 'the password of basic', values);
  if (joined(username).includes(':')) {
    const wrong = blame(username, (piece) => piece.includes(':'));
    throw unplaceable(`${wrong} holds a colon, which a user name may not; enter it again`);
  }
  const parts = [...username, ...password];
  if (CONTROL.test(joined(parts))) {
    const wrong = blame(parts, (piece) => CONTROL.test(piece));
    throw unplaceable(
      `${wrong} holds a line break or another control character, so it can't be sent as user name and password; enter it again`,
    );
  }
  return Buffer.from(`${joined(username)}:${joined(password)}`).toString('base64');
}

function sign(
  secret: string,
  request: { head: RequestHead; values: CredentialValues; messageId: string; sentAtMs: number },
): Header[] {
  const { head, values, messageId, sentAtMs } = request;
  const parts = render(secret, 'the signature', values);
  const id = head.headers.find(([name]) => name === 'webhook-id')?.[1] ?? '';
  if (id.includes('.')) {
    throw new HostCallError(
      'egress.invalid_request',
      'header "webhook-id" may not hold a full stop, since the signature joins id and timestamp with one',
      { sent: false },
    );
  }
  const signed = webhookSignature(joined(parts), {
    id: id === '' ? messageId : id,
    sentAtMs,
    body: head.body ?? NO_BYTES,
  });
  if (signed === null) {
    const wrong = blame(parts, () => true);
    throw unplaceable(
      `${wrong} is no signing secret: "whsec_" is followed by base64, anything else is taken as it is; enter it again`,
    );
  }
  return [
    ['webhook-id', signed.id],
    ['webhook-timestamp', signed.timestamp],
    ['webhook-signature', signed.signature],
  ];
}

/** The other parameters stay as the plugin wrote them, to the byte. */
function withParameters(
  url: URL,
  query: Readonly<Record<string, string>>,
  values: CredentialValues,
): URL {
  const entries = Object.entries(query);
  if (entries.length === 0) return url;
  const written = url.search.slice(1).split('&');
  const kept = written.filter((pair) => pair !== '' && !Object.hasOwn(query, nameOf(pair)));
  const added = entries.map(([name, text]) => {
    const value = joined(render(text, `query parameter "${name}"`, values));
    return `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
  });
  const placed = new URL(url);
  placed.search = [...kept, ...added].join('&');
  return placed;
}

/** The name of one `name=value`, decoded as a server's parser of forms does. */
function nameOf(pair: string): string {
  return [...new URLSearchParams(pair).keys()][0] ?? '';
}

function joined(parts: readonly RenderedPart[]): string {
  return parts.map(([value]) => value).join('');
}

function blame(parts: readonly RenderedPart[], isWrong: (piece: string) => boolean): string {
  const found = parts.find(([value, origin]) => typeof origin !== 'string' && isWrong(value))?.[1];
  return found === undefined || typeof found === 'string'
    ? "the plugin's own text"
    : `the field "${found.name}" of the credential`;
}

function unplaceable(message: string): HostCallError {
  return new HostCallError('egress.failed', message, { reason: 'credential', sent: false });
}

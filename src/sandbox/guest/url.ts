import * as machine from 'whatwg-url/lib/url-state-machine.js';

import { URLSearchParams } from './url-search-params.js';
import { toText } from './primordials.js';

/** WHATWG URL over the reference parser. Setters that can't apply leave the URL as it is. */
export class URL {
  #record: machine.UrlRecord;
  readonly #params: URLSearchParams;

  constructor(url: string | URL, base?: string | URL) {
    const record = parse(url, base);
    if (record === null) throw new TypeError('Invalid URL');
    this.#record = record;
    this.#params = URLSearchParams.ofUrl(record.query ?? '', (query) => {
      this.#record.query = query === '' ? null : query;
    });
  }

  static canParse(url: string | URL, base?: string | URL): boolean {
    return parse(url, base) !== null;
  }

  static parse(url: string | URL, base?: string | URL): URL | null {
    return parse(url, base) === null ? null : new URL(url, base);
  }

  get href(): string {
    return machine.serializeURL(this.#record);
  }

  set href(value: string) {
    const record = parse(value);
    if (record === null) throw new TypeError('Invalid URL');
    this.#record = record;
    URLSearchParams.refill(this.#params, record.query ?? '');
  }

  get origin(): string {
    return machine.serializeURLOrigin(this.#record);
  }

  get protocol(): string {
    return `${this.#record.scheme}:`;
  }

  set protocol(value: string) {
    this.#edit(`${value}:`, 'scheme start');
  }

  get username(): string {
    return this.#record.username;
  }

  set username(value: string) {
    if (!machine.cannotHaveAUsernamePasswordPort(this.#record))
      machine.setTheUsername(this.#record, toText(value));
  }

  get password(): string {
    return this.#record.password;
  }

  set password(value: string) {
    if (!machine.cannotHaveAUsernamePasswordPort(this.#record))
      machine.setThePassword(this.#record, toText(value));
  }

  get host(): string {
    const { port } = this.#record;
    return port === null ? this.hostname : `${this.hostname}:${toText(port)}`;
  }

  set host(value: string) {
    if (!machine.hasAnOpaquePath(this.#record)) this.#edit(value, 'host');
  }

  get hostname(): string {
    return this.#record.host === null ? '' : machine.serializeHost(this.#record.host);
  }

  set hostname(value: string) {
    if (!machine.hasAnOpaquePath(this.#record)) this.#edit(value, 'hostname');
  }

  get port(): string {
    return this.#record.port === null ? '' : toText(this.#record.port);
  }

  set port(value: string) {
    if (machine.cannotHaveAUsernamePasswordPort(this.#record)) return;
    if (toText(value) === '') this.#record.port = null;
    else this.#edit(value, 'port');
  }

  get pathname(): string {
    return machine.serializePath(this.#record);
  }

  set pathname(value: string) {
    if (machine.hasAnOpaquePath(this.#record)) return;
    this.#record.path = [];
    this.#edit(value, 'path start');
  }

  get search(): string {
    const { query } = this.#record;
    return query === null || query === '' ? '' : `?${query}`;
  }

  set search(value: string) {
    const query = withoutPrefix(value, '?');
    this.#record.query = query === '' ? null : '';
    if (query !== '') this.#edit(query, 'query');
    URLSearchParams.refill(this.#params, query);
  }

  get searchParams(): URLSearchParams {
    return this.#params;
  }

  get hash(): string {
    const { fragment } = this.#record;
    return fragment === null || fragment === '' ? '' : `#${fragment}`;
  }

  set hash(value: string) {
    const fragment = withoutPrefix(value, '#');
    this.#record.fragment = fragment === '' ? null : '';
    if (fragment !== '') this.#edit(fragment, 'fragment');
  }

  toString(): string {
    return this.href;
  }

  toJSON(): string {
    return this.href;
  }

  #edit(value: string, stateOverride: string): void {
    machine.basicURLParse(toText(value), { url: this.#record, stateOverride });
  }
}

function parse(url: string | URL, base?: string | URL): machine.UrlRecord | null {
  if (base === undefined) return machine.basicURLParse(toText(url), {});
  const baseURL = machine.basicURLParse(toText(base), {});
  return baseURL === null ? null : machine.basicURLParse(toText(url), { baseURL });
}

function withoutPrefix(value: string, prefix: string): string {
  const text = toText(value);
  return text.startsWith(prefix) ? text.slice(1) : text;
}

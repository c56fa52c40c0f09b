/** The parts of whatwg-url that the kernel uses: the parser, without its WebIDL layer. */
declare module 'whatwg-url/lib/url-state-machine.js' {
  export type UrlHost = string | number | number[];
  export interface UrlRecord {
    scheme: string;
    username: string;
    password: string;
    host: UrlHost | null;
    port: number | null;
    path: string | string[];
    query: string | null;
    fragment: string | null;
  }
  export function basicURLParse(
    input: string,
    options: { baseURL?: UrlRecord; url?: UrlRecord; stateOverride?: string },
  ): UrlRecord | null;
  export function serializeURL(url: UrlRecord): string;
  export function serializeURLOrigin(url: UrlRecord): string;
  export function serializeHost(host: UrlHost): string;
  export function serializePath(url: UrlRecord): string;
  export function setTheUsername(url: UrlRecord, username: string): void;
  export function setThePassword(url: UrlRecord, password: string): void;
  export function cannotHaveAUsernamePasswordPort(url: UrlRecord): boolean;
  export function hasAnOpaquePath(url: UrlRecord): boolean;
}

declare module 'whatwg-url/lib/urlencoded.js' {
  export function parseUrlencodedString(input: string): [string, string][];
  export function serializeUrlencoded(tuples: [string, string][]): string;
}

import { Permanent } from './errors.js';
import { checkAgainst, describeProblems, type StandardSchema } from './schema.js';

/** An answer. Its body may be read any number of times, in any form. */
export interface HttpResponse {
  readonly status: number;
  /** Status 200-299. */
  readonly ok: boolean;
  readonly headers: Headers;
  /** The URL that answered, after redirects. */
  readonly url: string;
  /**
   * The body as JSON. With a Standard Schema (zod and others) the value is checked and typed by it;
   * without one the type parameter is the author's claim.
   * @throws Permanent when the body isn't JSON or doesn't match the schema
   */
  json<T = unknown>(schema?: StandardSchema<unknown, T>): Promise<T>;
  /** The body as UTF-8 text. */
  text(): Promise<string>;
  bytes(): Promise<Uint8Array>;
}

/** The answer to one request, over the isolate's Response. */
export class HttpReply implements HttpResponse {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: Headers;
  readonly url: string;
  /** Method and URL without its query, for messages: queries hold personal data and keys. */
  readonly label: string;
  readonly #response: Response;
  #body: Promise<Uint8Array> | undefined;

  constructor(label: string, response: Response) {
    this.label = label;
    this.status = response.status;
    this.ok = response.ok;
    this.headers = response.headers;
    this.url = response.url;
    this.#response = response;
  }

  async json<T = unknown>(schema?: StandardSchema<unknown, T>): Promise<T> {
    const text = await this.text();
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new Permanent(`${this.label} did not answer with JSON: ${excerpt(text)}`, {
        details: { status: this.status },
        cause,
      });
    }
    if (schema === undefined) return value as T;
    const checked = await checkAgainst(schema, value);
    if (checked.problems === undefined) return checked.value as T;
    throw new Permanent(
      `${this.label} answered with an unexpected body: ${describeProblems(checked.problems)}`,
      { details: { status: this.status } },
    );
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  bytes(): Promise<Uint8Array> {
    this.#body ??= this.#response.arrayBuffer().then((buffer) => new Uint8Array(buffer));
    return this.#body;
  }
}

/** The beginning of a body, on one line, short enough for an error message. */
export function excerpt(text: string): string {
  const MAX = 300;
  const line = text
    .slice(0, MAX * 4)
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > MAX ? `${line.slice(0, MAX)}...` : line;
}

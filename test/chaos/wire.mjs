/**
 * As much of PostgreSQL's wire protocol (version 3) as it takes to see a host's flush go by:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** Cuts a stream into whole messages. A client's first one has no type. */
export class Messages {
  #rest = Buffer.alloc(0);
  #isFirst;

  constructor({ hasStartup }) {
    this.#isFirst = hasStartup;
  }

  /** @returns the messages that are complete with this chunk: { type, bytes } */
  push(chunk) {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages = [];
    let at = 0;
    for (;;) {
      const head = this.#isFirst ? 0 : 1;
      if (bytes.length - at < head + 4) break;
      const length = head + bytes.readInt32BE(at + head);
      if (bytes.length - at < length) break;
      const type = this.#isFirst ? 'startup' : String.fromCharCode(bytes[at]);
      messages.push({ type, bytes: bytes.subarray(at, at + length) });
      this.#isFirst = false;
      at += length;
    }
    this.#rest = bytes.subarray(at);
    return messages;
  }
}

/** Parse: the name of a statement, and its SQL. */
export function readParse(bytes) {
  const reader = new Reader(bytes);
  return { name: reader.text(), sql: reader.text() };
}

/** Query: SQL without parameters. */
export function readQuery(bytes) {
  return new Reader(bytes).text();
}

/** Bind: the statement's name, and parameters as text. */
export function readBind(bytes) {
  const reader = new Reader(bytes);
  reader.text(); // the portal
  const name = reader.text();
  for (let formats = reader.int16(); formats > 0; formats--) reader.int16();
  return { name, parameters: Array.from({ length: reader.int16() }, () => reader.value()) };
}

/** ReadyForQuery: I (idle), T (in a transaction) or E (in a failed one). */
export function readStatus(bytes) {
  return String.fromCharCode(bytes[5]);
}

class Reader {
  #at = 5; // type and length

  constructor(bytes) {
    this.bytes = bytes;
  }

  text() {
    const end = this.bytes.indexOf(0, this.#at);
    const text = this.bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  int16() {
    this.#at += 2;
    return this.bytes.readInt16BE(this.#at - 2);
  }

  value() {
    const length = this.bytes.readInt32BE(this.#at);
    this.#at += 4;
    if (length === -1) return null;
    this.#at += length;
    return this.bytes.toString('utf8', this.#at - length, this.#at);
  }
}

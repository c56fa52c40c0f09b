import { randomUUIDv7 } from 'node:crypto';

/** A UUIDv7 (RFC 9562): ids sort by the time they were made. */
export function newId(): string {
  return randomUUIDv7();
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

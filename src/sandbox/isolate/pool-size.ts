/** What a child takes that runs no call, bytes. */
export const CHILD_BYTES = 50 * 2 ** 20;

/** With the reserve there may be this many times the usual number of children. */
export const RESERVE_FACTOR = 3;

/**
 * How many children a machine carries: so many that they fit beside the host and an embedded
 * PostgreSQL even when the whole reserve is out, and no more than its cores can give turns to.
 * @param memoryBytes what this host may use
 */
export function poolSizeFor({
  memoryBytes,
  cores,
}: {
  memoryBytes: number;
  cores: number;
}): number {
  const fit = Math.floor((memoryBytes - HOST_BYTES) / (CHILD_BYTES * RESERVE_FACTOR));
  return Math.max(LEAST, Math.min(fit, cores * CHILDREN_PER_CORE, MOST));
}

/** The host and an embedded PostgreSQL under load. */
const HOST_BYTES = 768 * 2 ** 20;
/** Most calls wait for an answer most of the time. */
const CHILDREN_PER_CORE = 8;
/** With one, a second tenant's call would always end the first one's child. */
const LEAST = 2;
const MOST = 200;

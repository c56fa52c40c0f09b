import type { NewRun } from '../run-store.js';

/** A run that waits for the database. */
export interface SpooledRun {
  /** Milliseconds since the epoch. */
  spooledAt: number;
  run: SpoolableRun;
}

/** One that begins by itself, with nothing behind it: what the files hold is all of it. */
export type SpoolableRun = NewRun & { hostId: null; parent: null; originId: null; journal: [] };

/** The same run for the queue; null when it belongs to another run, whose host has to wait. */
export function toSpoolable(run: NewRun): SpoolableRun | null {
  const { parent, originId, journal } = run;
  if (run.trigger !== 'manual' && run.trigger !== 'webhook') return null;
  if (parent !== null || originId !== null || journal.length > 0) return null;
  return { ...run, hostId: null, parent, originId, journal: [] };
}

export function encodeRun(spooled: SpooledRun): Buffer {
  return Buffer.from(JSON.stringify(spooled));
}

/** Of bytes that were opened: nobody but us can have written them. */
export function decodeRun(text: Buffer): SpooledRun {
  return JSON.parse(text.toString('utf8')) as SpooledRun;
}

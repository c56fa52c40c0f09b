/**
 * Loaded into a host before its own code: its wall clock is off by the milliseconds in
 * CHAOS_CLOCK_FILE, read at the start and at each SIGUSR2.
 */
import { readFileSync } from 'node:fs';

const RealDate = Date;
let offsetMs = readOffset();
process.on('SIGUSR2', () => {
  offsetMs = readOffset();
});

const now = () => RealDate.now() + offsetMs;
const ShiftedDate = new Proxy(RealDate, {
  get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
  apply: () => new RealDate(now()).toString(),
  construct: (target, given, made) =>
    Reflect.construct(
      target,
      given.length === 0 ? [now()] : given,
      made === ShiftedDate ? target : made,
    ),
});
RealDate.prototype.constructor = ShiftedDate;
globalThis.Date = ShiftedDate;

function readOffset() {
  return Number(readFileSync(process.env.CHAOS_CLOCK_FILE, 'utf8'));
}

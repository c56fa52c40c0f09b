import { z } from 'zod';

import type { JsonValue } from '../../common/json.js';

/** A year. */
const MAX_SECONDS = 31_536_000;
const MAX_MESSAGE_LENGTH = 2_000;
/** What both JavaScript and PostgreSQL write with four digits. */
const LATEST = Date.parse('9999-12-31T23:59:59.999Z');

/** What an action of the form `wait` asks for, once its template is filled in. Times in seconds. */
export type WaitRequest = z.output<typeof schema>;

/** The request, or what is wrong with it. */
export function readWaitRequest(
  value: JsonValue,
): { ok: true; request: WaitRequest } | { ok: false; detail: string } {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, request: parsed.data };
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  return {
    ok: false,
    detail: `${where === '' ? 'the wait' : where}: ${issue?.message ?? 'invalid'}`,
  };
}

const timeoutSeconds = z.number().min(1).max(MAX_SECONDS).optional();

/** As UTC, since PostgreSQL doesn't take all offsets; all of the past is one: it is over. */
const moment = z.iso
  .datetime({ offset: true })
  .refine((text) => Date.parse(text) <= LATEST, { message: 'must be before the year 10000' })
  .transform((text) => new Date(Math.max(0, Date.parse(text))).toISOString());

const schema = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('timer'),
      seconds: z.number().min(0).max(MAX_SECONDS).optional(),
      until: moment.optional(),
    })
    .refine(({ seconds, until }) => (seconds === undefined) !== (until === undefined), {
      message: 'needs either a number of seconds or a time',
    }),
  z.strictObject({ kind: z.literal('callback'), timeoutSeconds }),
  z.strictObject({
    kind: z.literal('approval'),
    message: z.string().min(1).max(MAX_MESSAGE_LENGTH),
    timeoutSeconds,
  }),
  z.strictObject({
    kind: z.literal('plan'),
    planId: z.guid(),
    input: z.custom<JsonValue>().optional(),
  }),
]);

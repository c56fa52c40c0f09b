import type { ZodType, infer as Infer } from 'zod';

import { pointerToken } from '../../common/json.js';
import type { IntakeProblem } from './intake-error.js';

/** The value when it matches, or each thing that is wrong as a JSON Pointer and a sentence. */
export type Checked<T> = { ok: true; value: T } | { ok: false; problems: IntakeProblem[] };

/** Runs a zod schema and turns its issues into problems, nested under `at`. */
export function check<S extends ZodType>(schema: S, value: unknown, at = ''): Checked<Infer<S>> {
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data };
  return {
    ok: false,
    problems: result.error.issues.map((issue) => ({
      pointer: at + issue.path.map((key) => `/${pointerToken(String(key))}`).join(''),
      detail: issue.message,
    })),
  };
}

/** Moves problems of a part to where the part stands in the whole. */
export function under(at: string, problems: readonly IntakeProblem[]): IntakeProblem[] {
  return problems.map(({ pointer, detail }) => ({ pointer: at + pointer, detail }));
}

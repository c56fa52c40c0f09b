import type { Meter } from '../../common/expression/meter.js';
import type { Scope } from '../../common/expression/read-path.js';
import { typeName } from '../../common/expression/values.js';
import type { JsonObject, JsonValue } from '../../common/json.js';
import {
  stepFailed,
  type ProviderResult,
  type StepErrorCode,
} from '../../common/provider-result.js';
import { MAX_ITEMS, type ForEach } from './plan-definition.js';
import { resolveList, UnresolvedReferenceError } from './references.js';

export type Items =
  | { readonly ok: true; readonly items: readonly JsonValue[] }
  | { readonly ok: false; readonly result: ProviderResult };

/**
 * The items of a `for_each`, or why there are none. It depends on nothing but the input and the
 * results of earlier steps, so that whoever takes the run over finds the same items in the same order.
 */
export function listItems({ items }: ForEach, scope: Scope, meter: Meter): Items {
  let list: JsonValue;
  try {
    list = resolveList(items, scope, { meter });
  } catch (error) {
    if (!(error instanceof UnresolvedReferenceError)) throw error;
    const code = error.reason === 'missing' ? 'reference.missing' : 'input.invalid';
    return failed(
      code,
      error.message,
      error.reference === '' ? {} : { reference: error.reference },
    );
  }
  const name = typeof items === 'string' ? items : 'the list';
  const details = typeof items === 'string' ? { reference: items } : {};
  if (!Array.isArray(list)) {
    return failed('input.invalid', `${name} is ${typeName(list)}, not a list`, details);
  }
  if (list.length > MAX_ITEMS) {
    const message = `${name} has ${String(list.length)} items, more than the ${String(MAX_ITEMS)} that one step may go through; split it`;
    return failed('input.invalid', message, details);
  }
  return { ok: true, items: list };
}

function failed(code: StepErrorCode, message: string, details: JsonObject): Items {
  return { ok: false, result: stepFailed(code, `for_each: ${message}`, { details }) };
}

import { MAX_DETAILS_CHARS, MAX_ERROR_MESSAGE_CHARS } from '../protocol/frame-limits.js';
import type { Bridge } from './bridge.js';
import {
  getOwnPropertyDescriptor,
  jsonStringify,
  reflectGet,
  sliceString,
  toText,
} from './primordials.js';

export interface Failure {
  code: string;
  message: string;
  retryable?: boolean;
  details?: string;
}

/**
 * What a thrown value says of itself. It is read here, inside the isolate and on the guest's CPU
 * time: each of these reads may run guest code (getters, proxies, toString).
 */
export function describeFailure(thrown: unknown, bridge: Bridge): Failure {
  if (typeof thrown === 'object' && thrown !== null) {
    const refusal = bridge.refusalOf(thrown);
    if (refusal !== undefined) return refusal;
  }
  const message = messageOf(thrown);
  return declaredFault(thrown, message) ?? { code: 'plugin.threw', message };
}

/** The first characters of a text, so that no message of 500 MB goes anywhere. */
export function cut(text: string): string {
  return sliceString(text, 0, MAX_ERROR_MESSAGE_CHARS);
}

export function messageOf(thrown: unknown): string {
  try {
    if (typeof thrown === 'object' && thrown !== null) {
      const message: unknown = reflectGet(thrown, 'message');
      if (typeof message === 'string')
        return cut(message === '' ? 'the plugin threw an error' : message);
    }
    return cut(toText(thrown));
  } catch {
    return 'the plugin threw a value that can not be read';
  }
}

/** The `stepwell` property of the SDK's typed errors. The broker checks its code once more. */
function declaredFault(thrown: unknown, message: string): Failure | null {
  if (typeof thrown !== 'object' || thrown === null) return null;
  try {
    const fault: unknown = getOwnPropertyDescriptor(thrown, 'stepwell')?.value;
    if (typeof fault !== 'object' || fault === null) return null;
    const code: unknown = reflectGet(fault, 'code');
    const retryable: unknown = reflectGet(fault, 'retryable');
    if (typeof code !== 'string' || DECLARED[code] !== true) return null;
    const failure: Failure = {
      code: code,
      message,
      retryable: retryable === true,
    };
    const details: unknown = reflectGet(fault, 'details');
    const text: unknown = details === undefined ? undefined : jsonStringify(details);
    if (typeof text === 'string' && text.length <= MAX_DETAILS_CHARS) failure.details = text;
    return failure;
  } catch {
    return null;
  }
}

/** The codes of PluginFault: anything else in that place is an ordinary throw. */
const DECLARED: Record<string, boolean> = {
  __proto__: null as never,
  'provider.auth_failed': true,
  'provider.rate_limited': true,
  'provider.unavailable': true,
  'provider.rejected': true,
  'provider.too_large': true,
  'input.invalid': true,
  'plugin.output_invalid': true,
};

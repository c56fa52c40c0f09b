import { stepFailed } from '../../common/provider-result.js';
import type { ProviderResult } from '../../common/provider-result.js';
import { HostCallError } from '../sandbox.js';
import type { HostCalls, OutboundRequest, OutboundResponse } from '../sandbox.js';

export type Exchange =
  | { readonly answer: OutboundResponse; readonly failure: null }
  | { readonly failure: ProviderResult };

/**
 * Sends the request of a step; when the signal aborts, the step ends at once, whatever the host is
 * still doing. A request without a time of its own gets that of the step, `wallMs`.
 */
export async function exchange(
  request: OutboundRequest,
  host: HostCalls,
  { signal, wallMs }: { signal: AbortSignal; wallMs: number },
): Promise<Exchange> {
  const timeoutMs = Math.min(request.timeoutMs ?? wallMs, wallMs);
  try {
    const answer = await unlessAborted(host.http({ ...request, timeoutMs }, signal), signal);
    return answer === null ? { failure: abortedResult(signal) } : { answer, failure: null };
  } catch (error) {
    if (signal.aborted) return { failure: abortedResult(signal) };
    if (!(error instanceof HostCallError)) throw error;
    return { failure: refusedResult(error, { request, timeoutMs, wallMs }) };
  }
}

/** Method and URL without its query, for messages: queries hold personal data and keys. */
export function requestLabel({ method, url }: Pick<OutboundRequest, 'method' | 'url'>): string {
  const parsed = URL.parse(url);
  return parsed === null ? method : `${method} ${parsed.origin}${parsed.pathname}`;
}

export function abortedResult(signal: AbortSignal): ProviderResult {
  const reason: unknown = signal.reason;
  const isTimeout = reason instanceof DOMException && reason.name === 'TimeoutError';
  return isTimeout
    ? stepFailed('step.timed_out', 'the step took longer than it may')
    : stepFailed('step.cancelled', 'the step was cancelled');
}

/** What the promise gives, or null as soon as the signal aborts. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const aborted = Promise.withResolvers<null>();
  const abort = (): void => {
    aborted.resolve(null);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function refusedResult(
  { code, message, details }: HostCallError,
  call: { request: OutboundRequest; timeoutMs: number; wallMs: number },
): ProviderResult {
  const isOver = code === 'egress.timed_out' && details?.['reason'] === 'deadline';
  if (!isOver || call.timeoutMs === call.wallMs) {
    return stepFailed(code, message, details === undefined ? {} : { details });
  }
  // The time that the action gave, not the step's: the provider is slow, whatever it has done.
  const isUnknown = details['sent'] !== false;
  return stepFailed(
    'provider.unavailable',
    `${requestLabel(call.request)} gave no answer within ${String(call.timeoutMs)} ms`,
    isUnknown ? { details: { outcome: 'unknown' } } : {},
  );
}

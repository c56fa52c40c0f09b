import { createHash } from 'node:crypto';

import type { HostCalls, OutboundRequest, OutboundResponse } from '../sandbox/sandbox.js';

interface RecordedCall {
  requestHash: string;
  response: OutboundResponse;
}

/**
 * Remembers the answers to a step's requests for as long as the step lives on this host, so that a
 * retry after its child's death is given them instead of sending again. A request counts as the
 * same by its place in the order of calls and its content.
 */
export class ReplayedCalls {
  private readonly recorded = new Map<number, RecordedCall>();
  private unanswered = 0;

  /** Whether some request was sent whose answer never came: its effect may have happened. */
  get hasUnanswered(): boolean {
    return this.unanswered > 0;
  }

  /** Host calls for one attempt. */
  wrap(host: HostCalls): HostCalls {
    let ordinal = 0;
    return {
      log: (line) => {
        host.log(line);
      },
      http: async (request, signal) => {
        const place = ordinal++;
        const requestHash = hashRequest(request);
        const earlier = this.recorded.get(place);
        if (earlier?.requestHash === requestHash) return earlier.response;
        this.unanswered++;
        const response = await host.http(request, signal);
        this.unanswered--;
        this.recorded.set(place, { requestHash, response });
        return response;
      },
    };
  }
}

function hashRequest(request: OutboundRequest): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([request.method, request.url, request.headers, request.redirect]));
  if (request.body) hash.update(request.body);
  return hash.digest('hex');
}

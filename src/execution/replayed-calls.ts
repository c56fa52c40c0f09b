import { createHash } from 'node:crypto';

import {
  HostCallError,
  type HostCalls,
  type OutboundRequest,
  type OutboundResponse,
} from '../sandbox/sandbox.js';

const READING_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Answers of one step are kept up to this size; a step that got more can't be replayed. */
const MAX_RECORDED_BYTES = 8 * 1024 * 1024;

/**
 * The requests of an attempt that must not be sent twice, and their answers: should its child die,
 * one more attempt is given them instead of sending again. A request counts as the same by its place
 * in the order of calls and its content; one that differs in a place where something was sent is
 * refused, since what it would repeat has been done.
 */
export class ReplayedCalls {
  private readonly answers = new Map<number, { requestHash: string; response: OutboundResponse }>();
  private recordedBytes = 0;
  private answered = 0;
  private unanswered = 0;
  private isSpent = false;
  private diverged = false;
  private done = false;

  /** Whether a request that writes was answered with success: to begin anew would do it again. */
  get hasDone(): boolean {
    return this.done;
  }

  /** Whether anything was answered, be it with a failure: that may have been done, too. */
  get hasAnswers(): boolean {
    return this.answered > 0;
  }

  /** Whether another attempt would send nothing again: every answer is here, and none was replayed yet. */
  get isReplayable(): boolean {
    return !this.isSpent && !this.hasUnanswered && this.recordedBytes <= MAX_RECORDED_BYTES;
  }

  /** Whether something was sent whose answer never came: what it did isn't known. */
  get hasUnanswered(): boolean {
    return this.unanswered > 0;
  }

  /** Whether the replay asked for something else than the attempt before it. */
  get hasDiverged(): boolean {
    return this.diverged;
  }

  /** Host calls of the attempt that is recorded. */
  record(host: HostCalls): HostCalls {
    let place = 0;
    return withHttp(host, async (request, signal) => {
      const here = place++;
      return await this.send({ host, place: here, request, signal });
    });
  }

  /** Host calls of the one attempt that repeats it. */
  replay(host: HostCalls): HostCalls {
    let place = 0;
    return withHttp(host, async (request, signal) => {
      this.isSpent = true;
      const here = place++;
      const earlier = this.answers.get(here);
      if (!earlier) return await this.send({ host, place: here, request, signal });
      if (earlier.requestHash === hashRequest(request)) return earlier.response;
      this.diverged = true;
      throw new HostCallError(
        'egress.denied',
        'not sent: the attempt before this one sent another request in this place, and crashed after it',
      );
    });
  }

  private async send(call: {
    host: HostCalls;
    place: number;
    request: OutboundRequest;
    signal: AbortSignal;
  }): Promise<OutboundResponse> {
    const { host, place, request, signal } = call;
    this.unanswered++;
    try {
      const response = await host.http(request, signal);
      this.unanswered--;
      this.answered++;
      this.keep(place, request, response);
      return response;
    } catch (error) {
      // What no server has seen has no answer to wait for.
      if (error instanceof HostCallError && error.details?.['sent'] === false) this.unanswered--;
      throw error;
    }
  }

  private keep(place: number, request: OutboundRequest, response: OutboundResponse): void {
    if (response.status < 400 && !READING_METHODS.has(request.method.toUpperCase()))
      this.done = true;
    this.recordedBytes += response.body.byteLength;
    if (this.recordedBytes > MAX_RECORDED_BYTES) this.answers.clear();
    else this.answers.set(place, { requestHash: hashRequest(request), response });
  }
}

function withHttp(host: HostCalls, http: HostCalls['http']): HostCalls {
  return {
    http,
    log: (line) => {
      host.log(line);
    },
  };
}

function hashRequest(request: OutboundRequest): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([request.method, request.url, request.headers, request.redirect]));
  if (request.body) hash.update(request.body);
  return hash.digest('hex');
}

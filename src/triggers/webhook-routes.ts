import { Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';

import type { JsonValue } from '../common/json.js';
import { ACCESS, type Access } from '../tenancy/access.decorators.js';
import { takeFormsAndText } from './webhook-bodies.js';
import { WebhookCalls, type WebhookAnswer } from './webhook-calls.js';

const METHODS = ['POST', 'GET', 'PUT'];

interface WebhookRequest {
  Params: { '*': string };
  Querystring: Record<string, string | string[] | undefined>;
  Body: JsonValue | undefined;
}

/**
 * The public routes of webhooks. They are Fastify's own rather than a controller's: forms and text are
 * for them alone, a HEAD begins nothing, and a call costs half as much without guard, interceptor and pipes.
 * Hooks, limits and the filter of errors are those of the host.
 */
@Injectable()
export class WebhookRoutes implements OnModuleInit {
  constructor(
    private readonly calls: WebhookCalls,
    private readonly adapterHost: HttpAdapterHost<FastifyAdapter>,
  ) {}

  onModuleInit(): void {
    const access: Access = { public: true };
    const fastify = this.adapterHost.httpAdapter.getInstance();
    void fastify.register((scope, _options, done) => {
      takeFormsAndText(scope);
      scope.route<WebhookRequest>({
        method: METHODS,
        url: '/api/webhook/*',
        // Whoever looks a link up begins nothing.
        exposeHeadRoute: false,
        // Read by who checks what each route asks of its caller.
        config: { [ACCESS]: access },
        handler: async (request, reply) => {
          // A GET begins a run as well: no cache on the way may answer it, also not with a 404 of before.
          void reply.header('cache-control', 'no-store');
          return write(reply, await this.call(request));
        },
      });
      done();
    });
  }

  private async call(request: FastifyRequest<WebhookRequest>): Promise<WebhookAnswer> {
    const { method, query, headers, body, params } = request;
    const key = headers['idempotency-key'];
    return await this.calls.take({
      path: params['*'],
      key: typeof key === 'string' ? key : undefined,
      ...{ method, query, headers, body },
    });
  }
}

/** Outputs are any JSON, also text and null, which Fastify would send as they are. */
function write(reply: FastifyReply, answer: WebhookAnswer): FastifyReply {
  const { executionId: id } = answer;
  const isDone = answer.kind === 'output';
  return reply
    .status(isDone ? 200 : 202)
    .header('location', `/api/executions/${id}`)
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(isDone ? answer.output : { id, status: answer.status }));
}

import { Inject, Injectable, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { DatabaseUnavailable } from '../persistence/faults.js';
import { openCorsHeaders, preflightHeaders } from '../protocol/cors.js';

/** Bodies of OAuth endpoints, bytes. */
const MAX_BODY = 64 * 1024;

/** Marks a route as an OAuth endpoint and says how it behaves before its handler runs. */
export interface OauthRoute {
  readonly gatehouse: 'oauth';
  readonly methods: readonly string[];
  /** Browsers' scripts may call it. Pages and `/authorize` may not be. */
  readonly cors: boolean;
}

/** The route configuration of an OAuth endpoint. */
export function oauthRoute(methods: readonly string[], cors = true): OauthRoute {
  return { gatehouse: 'oauth', methods, cors };
}

/**
 * What happens around the handlers of OAuth endpoints: CORS and preflights, 405 with JSON, a body limit, and RFC 6749 JSON for whatever the framework
 * refuses before a handler runs (bad JSON, 413, 415). Hung on the routes, so that it works inside anybody's Nest application.
 */
@Injectable()
export class OauthHooks {
  readonly #log = new Logger('OAuth');

  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost) {
    const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (!adapter || adapter.getType() !== 'fastify') return;
    const fastify = adapter.getInstance<FastifyInstance>();
    fastify.addHook('onRoute', (route) => this.#equip(route));
    // Documents that do not exist are probed by browsers too, and their 404 must be readable.
    fastify.addHook('onRequest', (request, reply, done) => {
      if (!(request.raw.url ?? '').startsWith('/.well-known/')) return done();
      setHeaders(reply, openCorsHeaders);
      if (request.method !== 'OPTIONS') return done();
      void reply
        .code(204)
        .headers({ ...openCorsHeaders, ...preflightHeaders(['GET', 'HEAD', 'OPTIONS']) })
        .send();
    });
  }

  #equip(route: RouteOptions): void {
    const config = oauthRouteOf(route.config);
    if (!config) return;
    route.bodyLimit = MAX_BODY;
    route.onRequest = (request, reply, done) => {
      if (config.cors) setHeaders(reply, openCorsHeaders);
      // The engine says so of some of its answers only; documents and keys, which are read with GET, may be kept.
      if (!config.cors || config.methods.includes('POST')) setHeaders(reply, { 'cache-control': 'no-store' });
      if (request.method === 'OPTIONS' && config.cors) {
        void reply
          .code(204)
          .headers({ ...openCorsHeaders, ...preflightHeaders([...config.methods, 'OPTIONS']) })
          .send();
        return;
      }
      if (config.methods.includes(request.method)) return done();
      void reply.header('allow', config.methods.join(', '));
      sendOauthError(reply, 405, {
        error: 'invalid_request',
        error_description: `the method must be ${config.methods.join(' or ')}`,
      });
    };
    route.errorHandler = (error, request, reply) => this.#answerFault(error, request, reply);
  }

  #answerFault(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    if (error instanceof DatabaseUnavailable) {
      void reply.header('retry-after', String(error.retryAfter));
      return sendOauthError(reply, 503, {
        error: 'temporarily_unavailable',
        error_description: 'the server cannot reach its database now; try again',
      });
    }
    const status = statusOf(error);
    if (status === 413)
      return sendOauthError(reply, 413, {
        error: 'invalid_request',
        error_description: 'the body is larger than 64 KiB',
      });
    if (status >= 400 && status < 500)
      return sendOauthError(reply, 400, { error: 'invalid_request', error_description: 'the body could not be read' });
    this.#log.error(
      `${request.method} ${pathOf(request)}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    sendOauthError(reply, 500, { error: 'server_error', error_description: 'internal error' });
  }
}

/** RFC 6749 §5.2 JSON. */
export function sendOauthError(
  reply: FastifyReply,
  status: number,
  body: { readonly error: string; readonly error_description: string },
): void {
  void reply.code(status).headers({ 'content-type': 'application/json', 'cache-control': 'no-store' }).send(body);
}

function oauthRouteOf(config: unknown): OauthRoute | null {
  const route = config as Partial<OauthRoute> | undefined;
  return route?.gatehouse === 'oauth' ? (route as OauthRoute) : null;
}

/** On the raw response: the engine writes to it directly. */
function setHeaders(reply: FastifyReply, headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) reply.raw.setHeader(name, value);
}

function statusOf(error: unknown): number {
  const facts = error as { statusCode?: unknown; status?: unknown } | null;
  const status = facts?.statusCode ?? facts?.status;
  return typeof status === 'number' ? status : 500;
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0]!;
}

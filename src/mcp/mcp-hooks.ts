import { Injectable, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { isJsonContentType } from '@modelcontextprotocol/server';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { Access, type Refusal } from '../access/access.js';
import { Settings } from '../config/settings.js';
import { CallLimit } from './call-limit.js';
import { corsHeaders, preflightHeaders } from '../protocol/cors.js';
import { errorBody, INVALID_REQUEST_CODE, INTERNAL_FAULT, PARSE_FAULT } from './json-rpc.js';
import { isAllowedHost, isAllowedOrigin, type OriginRules } from './origin-rules.js';
import { admit } from './request-caller.js';
import { Streams } from './streams.js';

/** Marks the routes these hooks belong to, whatever their path is: a comparison of paths could be passed by (security.md 43). */
export const MCP_ROUTE = { gatehouse: 'mcp' } as const;

const MAX_BODY = 4 * 1024 * 1024;

/**
 * What happens before a body is read, in the order of security.md 37: Host and Origin, preflight, bearer, method, rate limit, content type.
 * Fastify reads bodies before Nest's guards run, so a stranger could otherwise make us buffer 4 MiB.
 */
@Injectable()
export class McpHooks {
  readonly #log = new Logger('Mcp');
  readonly #rules: OriginRules;
  readonly #methods: readonly string[];

  /** @throws Error on an adapter other than Fastify */
  constructor(
    host: HttpAdapterHost,
    private readonly settings: Settings,
    private readonly access: Access,
    private readonly limit: CallLimit,
    private readonly streams: Streams,
  ) {
    const { publicUrl, values } = settings;
    this.#rules = { publicUrl, allowedOrigins: values.allowedOrigins, listenHost: values.host };
    this.#methods = values.legacySessions ? ['POST', 'GET', 'DELETE'] : ['POST'];
    // Absent in an application context, as the command line makes it: nothing is served there.
    const adapter = host.httpAdapter as HttpAdapterHost['httpAdapter'] | undefined;
    if (!adapter) return;
    if (adapter.getType() !== 'fastify')
      throw new Error(
        'GatehouseModule needs the Fastify adapter: NestFactory.create(AppModule, new FastifyAdapter(adapterOptions))',
      );
    const fastify = adapter.getInstance<FastifyInstance>();
    fastify.addHook('onRoute', (route) => this.#equip(fastify, route));
  }

  #equip(fastify: FastifyInstance, route: RouteOptions): void {
    if (!isMcpRoute(route.config)) return;
    route.bodyLimit = MAX_BODY;
    route.onRequest = (request, reply) => this.#decide(request, reply);
    route.errorHandler = (error, request, reply) => this.#answerFault(error, request, reply);
    // A redirect between the two spellings would lose the bearer token (D3), and the adapter may not ignore the slash.
    if (!ignoresTrailingSlash(fastify) && !route.url.endsWith('/')) fastify.route({ ...route, url: `${route.url}/` });
  }

  async #decide(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { headers, method, raw } = request;
    if (!isAllowedHost(headers.host, this.#rules)) return refuse(reply, 403, 'this Host is not served here');
    if (!isAllowedOrigin(headers.origin, this.#rules))
      return refuse(reply, 403, 'this Origin may not call: see GATEHOUSE_ALLOWED_ORIGINS');
    // On the raw response, because the SDK writes to it directly.
    for (const [name, value] of Object.entries(corsHeaders(headers.origin))) reply.raw.setHeader(name, value);
    if (method === 'OPTIONS') {
      const requested = headers['access-control-request-headers'];
      return reply.code(204).headers(preflightHeaders(this.#methods, requested)).send();
    }
    const decision = await this.access.decide({
      authorization: headers.authorization,
      dpop: headers['dpop'],
      method,
      url: this.settings.mcpUrl,
    });
    if ('refusal' in decision) return sendRefusal(reply, decision.refusal);
    if (!this.#methods.includes(method)) {
      reply.header('allow', this.#methods.join(', '));
      return refuse(reply, 405, 'Method not allowed', INVALID_REQUEST_CODE);
    }
    const wait = this.settings.values.rateLimits ? this.limit.count(decision.principal.key) : null;
    if (wait !== null) {
      reply.header('retry-after', String(wait));
      return refuse(reply, 429, `too many requests; try again in ${wait} seconds`);
    }
    if (method === 'POST' && !isJsonContentType(headers['content-type']))
      return refuse(reply, 415, 'Content-Type must be application/json', INVALID_REQUEST_CODE);
    admit(raw, decision.principal, request.id);
    this.streams.watch(reply.raw, decision.principal);
    return undefined;
  }

  /** Errors of reading and parsing the body, and bugs of the hooks. */
  #answerFault(error: unknown, request: FastifyRequest, reply: FastifyReply): unknown {
    const status = statusOf(error);
    if (status === 413) return refuse(reply, 413, 'the body is larger than 4 MiB', INVALID_REQUEST_CODE);
    if (status === 415) return refuse(reply, 415, 'Content-Type must be application/json', INVALID_REQUEST_CODE);
    if (status >= 400 && status < 500) return refuse(reply, status, 'the body is not valid JSON', PARSE_FAULT);
    this.#log.error(
      `${request.method} ${this.settings.values.mcpPath} failed: ${String(error)}`,
      error instanceof Error ? error.stack : undefined,
    );
    return refuse(reply, 500, 'internal error', INTERNAL_FAULT);
  }
}

/** Answers with a challenge; the body is JSON-RPC (D2). */
export function sendRefusal(reply: FastifyReply, { status, headers, description, error }: Refusal): FastifyReply {
  return reply
    .code(status)
    .headers({ ...headers, 'content-type': 'application/json', 'cache-control': 'no-store' })
    .send(errorBody(status, description, null, { error }));
}

function refuse(reply: FastifyReply, status: number, text: string, code: number = status): FastifyReply {
  return reply.code(status).header('content-type', 'application/json').send(errorBody(code, text));
}

function isMcpRoute(config: unknown): boolean {
  return (
    typeof config === 'object' && config !== null && 'gatehouse' in config && config.gatehouse === MCP_ROUTE.gatehouse
  );
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 500;
  const status = 'statusCode' in error ? error.statusCode : 'status' in error ? error.status : undefined;
  return typeof status === 'number' ? status : 500;
}

function ignoresTrailingSlash(fastify: FastifyInstance): boolean {
  const options = fastify.initialConfig as {
    ignoreTrailingSlash?: boolean;
    routerOptions?: { ignoreTrailingSlash?: boolean };
  };
  return options.ignoreTrailingSlash === true || options.routerOptions?.ignoreTrailingSlash === true;
}

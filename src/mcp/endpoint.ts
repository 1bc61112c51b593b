import type { ServerResponse } from 'node:http';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import {
  classifyInboundRequest,
  createMcpHandler,
  type InboundClassificationOutcome,
} from '@modelcontextprotocol/server';
import { Access } from '../access/access.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import type { Principal } from '../providers/contract.js';
import { Changes } from './changes.js';
import { errorBody, idOf, INTERNAL_FAULT, INVALID_REQUEST_CODE, isTooDeep, MAX_DEPTH, messagesOf } from './json-rpc.js';
import { listenedUris, Policy } from './policy.js';
import { callerOf, type AdmittedRequest } from './request-caller.js';
import { Servers } from './servers.js';
import { Sessions } from './sessions.js';
import { Streams } from './streams.js';

const BATCH_VERSION = '2025-03-26';
const MAX_BATCH = 50;

/** One exchange at the MCP endpoint, its body parsed. */
export interface Exchange {
  readonly request: AdmittedRequest;
  readonly response: ServerResponse;
  readonly body: unknown;
}

/** Serves what the hooks have admitted: every protocol revision on one URL. */
@Injectable()
export class Endpoint implements OnApplicationShutdown {
  readonly #log = new Logger('Mcp');
  readonly #handler: ReturnType<typeof createMcpHandler>;
  readonly #node: ReturnType<typeof toNodeHandler>;

  constructor(
    private readonly settings: Settings,
    private readonly access: Access,
    private readonly events: Events,
    private readonly policy: Policy,
    private readonly sessions: Sessions,
    private readonly streams: Streams,
    servers: Servers,
    changes: Changes,
  ) {
    const onerror = (error: Error): void => this.#log.debug(error.message);
    this.#handler = createMcpHandler(() => servers.create(), { bus: changes.bus, onerror });
    this.#node = toNodeHandler(this.#handler, { onerror });
  }

  /** Answers; never rejects. */
  async serve(exchange: Exchange): Promise<void> {
    const { request, response, body } = exchange;
    try {
      await this.#route(exchange);
    } catch (error) {
      if (response.destroyed) return;
      this.#log.error(`${request.method} failed: ${String(error)}`, error instanceof Error ? error.stack : undefined);
      if (response.headersSent) response.destroy();
      else answer(response, 500, errorBody(INTERNAL_FAULT, 'internal error', idOf(body)));
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#handler.close();
  }

  async #route({ request, response, body: received }: Exchange): Promise<void> {
    const caller = callerOf(request.auth);
    const { principal } = caller;
    const fault = this.#faultOfBody(request, received, principal);
    if (fault !== null) return answer(response, 400, errorBody(INVALID_REQUEST_CODE, fault, idOf(received)));
    const body = this.#withoutHidden(received, principal);
    caller.carry(body);
    if (this.#refused({ request, response, body }, principal)) return;
    const route = classify(request, body);
    const lasting =
      request.method === 'GET' || messagesOf(body).some(({ method }) => method === 'subscriptions/listen');
    if (!this.streams.watch(response, principal, { lasting, limited: this.settings.values.rateLimits }))
      return answer(response, 429, errorBody(429, 'too many open streams', idOf(body)), { 'retry-after': '60' });
    if (route.kind === 'legacy' && this.settings.values.legacySessions)
      return this.sessions.serve({ request, response, body });
    await this.#node(request as NodeIncomingMessageLike, response, body);
  }

  /** What is wrong with the body as a whole; null: nothing. */
  #faultOfBody(request: AdmittedRequest, body: unknown, principal: Principal): string | null {
    if (isTooDeep(body)) return `the body nests deeper than ${MAX_DEPTH} levels`;
    if (!Array.isArray(body)) return null;
    const session = this.settings.values.legacySessions
      ? this.sessions.versionOf(headerOf(request, 'mcp-session-id'), principal)
      : undefined;
    const version = headerOf(request, 'mcp-protocol-version') ?? session ?? BATCH_VERSION;
    if (version !== BATCH_VERSION) return `batches exist only in protocol version ${BATCH_VERSION}, this is ${version}`;
    if (body.length === 0) return 'a batch must hold at least one message';
    return body.length > MAX_BATCH ? `a batch may hold at most ${MAX_BATCH} messages` : null;
  }

  /** 403 before a stream opens, for every era and for all messages of a batch in one challenge (RS-13, RS-14). */
  #refused({ request, response, body }: Exchange, principal: Principal): boolean {
    const lacking = this.policy.lacking(principal, messagesOf(body));
    if (!lacking) return false;
    const { status, headers, description, error } = this.access.insufficientScope(principal, lacking.scopes);
    answer(response, status, errorBody(status, description, idOf(body), { error }), headers);
    this.events
      .write({
        type: 'tool.denied',
        outcome: 'refused',
        actor: principal.key,
        userId: principal.user?.id,
        clientId: principal.client,
        grantId: principal.grantId,
        ip: request.socket.remoteAddress,
        detail: { names: lacking.names, scopes: lacking.scopes },
      })
      .catch((fault: unknown) => this.#log.warn(`an event was not written: ${String(fault)}`));
    return true;
  }

  /** `subscriptions/listen` without the resources that a missing role hides: for this Principal they do not exist. */
  #withoutHidden(body: unknown, principal: Principal): unknown {
    const [message] = Array.isArray(body) ? [] : messagesOf(body);
    if (message?.method !== 'subscriptions/listen') return body;
    const uris = listenedUris(message.params);
    const readable = uris.filter((uri) => !this.policy.isHidden(principal, uri));
    if (readable.length === uris.length) return body;
    const notifications = { ...(message.params['notifications'] as object), resourceSubscriptions: readable };
    return { ...(body as object), params: { ...message.params, notifications } };
  }
}

function classify(request: AdmittedRequest, body: unknown): InboundClassificationOutcome {
  const header = (name: string, key: string): Record<string, string> => {
    const value = headerOf(request, name);
    return value === undefined ? {} : { [key]: value };
  };
  return classifyInboundRequest({
    httpMethod: request.method ?? 'POST',
    ...header('mcp-protocol-version', 'protocolVersionHeader'),
    ...header('mcp-method', 'mcpMethodHeader'),
    ...header('mcp-name', 'mcpNameHeader'),
    body,
  });
}

function headerOf(request: AdmittedRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

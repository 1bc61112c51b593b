import { Injectable, Logger, type OnApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import {
  classifyInboundRequest,
  createMcpHandler,
  type InboundClassificationOutcome,
} from '@modelcontextprotocol/server';
import { Settings } from '../config/settings.js';
import type { Principal } from '../providers/contract.js';
import { spellOutAccept } from './accept.js';
import { Changes } from './changes.js';
import { answer, type Exchange } from './exchange.js';
import {
  errorBody,
  idOf,
  INTERNAL_FAULT,
  INVALID_PARAMS_CODE,
  INVALID_REQUEST_CODE,
  isTooDeep,
  MAX_DEPTH,
  messagesOf,
} from './json-rpc.js';
import { faultOfParams, MALFORMED } from './params.js';
import { listenedUris, Policy } from './policy.js';
import { Refusals } from './refusals.js';
import { callerOf, type AdmittedRequest } from './request-caller.js';
import { Servers } from './servers.js';
import { Sessions } from './sessions.js';
import { Streams } from './streams.js';

const BATCH_VERSION = '2025-03-26';
const MAX_BATCH = 50;

interface Served {
  readonly serve: ReturnType<typeof toNodeHandler>;
  readonly close: () => Promise<void>;
}

/** Serves what the hooks have admitted: every protocol revision on one URL. */
@Injectable()
export class Endpoint implements OnModuleDestroy, OnApplicationShutdown {
  readonly #log = new Logger('Mcp');
  readonly #calls: Served;
  /** Apart, so that at shutdown these streams end with their result while calls go on (HT-22). */
  readonly #listeners: Served;

  constructor(
    private readonly settings: Settings,
    private readonly policy: Policy,
    private readonly refusals: Refusals,
    private readonly sessions: Sessions,
    private readonly streams: Streams,
    servers: Servers,
    changes: Changes,
  ) {
    const onerror = (error: Error): void => this.#log.debug(error.message);
    const served = (): Served => {
      const handler = createMcpHandler(() => servers.create(), { bus: changes.bus, onerror });
      return { serve: toNodeHandler(handler, { onerror }), close: handler.close };
    };
    this.#calls = served();
    this.#listeners = served();
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

  async onModuleDestroy(): Promise<void> {
    await this.#listeners.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#calls.close();
  }

  async #route({ request, response, body: received }: Exchange): Promise<void> {
    const caller = callerOf(request.auth);
    const { principal } = caller;
    const fault = this.#faultOfBody(request, received, principal);
    if (fault !== null) return answer(response, 400, errorBody(INVALID_REQUEST_CODE, fault, idOf(received)));
    const asked: unknown = Array.isArray(received)
      ? received.map((message: unknown) => withoutFault(message))
      : received;
    const legacy = classify(request, asked).kind === 'legacy';
    const malformed = faultOfRequest(asked, legacy ? 'legacy' : 'modern');
    // 2025 clients take an error status for a broken connection, so they get the JSON-RPC error alone.
    if (malformed !== null)
      return answer(response, legacy ? 200 : 400, errorBody(INVALID_PARAMS_CODE, malformed, idOf(asked)));
    const { lacking, hidden } = this.policy.judge(principal, messagesOf(asked));
    if (hidden.length > 0) this.refusals.record(request, principal, { names: hidden, why: 'a role is missing' });
    if (lacking) return this.refusals.answer({ request, response, body: asked }, { principal, lacking, legacy });
    const body = hidden.length > 0 ? this.#withoutHidden(asked, principal) : asked;
    caller.carry(body);
    spellOutAccept(request);
    const listens = messagesOf(body).some(({ method }) => method === 'subscriptions/listen');
    const lasting = request.method === 'GET' ? 'session' : listens ? 'listen' : null;
    if (lasting && !this.streams.keep(response, lasting))
      return answer(response, 429, errorBody(429, 'too many open streams', idOf(body)), { 'retry-after': '60' });
    if (legacy && this.settings.values.legacySessions) return this.sessions.serve({ request, response, body });
    const { serve } = listens ? this.#listeners : this.#calls;
    await serve(request as NodeIncomingMessageLike, response, body);
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

/** What is wrong with the parameters of a single request; null: nothing, or the body is something else. */
function faultOfRequest(body: unknown, era: 'legacy' | 'modern'): string | null {
  const [message] = Array.isArray(body) ? [] : messagesOf(body);
  if (message?.id === undefined) return null;
  if (
    'params' in (body as object) &&
    (body as { params: unknown }).params !== undefined &&
    !isObject((body as { params: unknown }).params)
  )
    return 'params must be an object';
  return faultOfParams(message, era);
}

/** A message of a batch, as it is or, with malformed parameters, as one that the SDK answers with what is wrong. */
function withoutFault(message: unknown): unknown {
  const fault = faultOfRequest(message, 'legacy');
  return fault === null ? message : { jsonrpc: '2.0', id: idOf(message), method: MALFORMED, params: { fault } };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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

import type { ServerResponse } from 'node:http';
import { Inject, Injectable, Logger, Optional, type OnApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import {
  classifyInboundRequest,
  createMcpHandler,
  type InboundClassificationOutcome,
} from '@modelcontextprotocol/server';
import { Access } from '../access/access.js';
import { Events } from '../audit/events.js';
import { Settings } from '../config/settings.js';
import { DatabaseUnavailable } from '../persistence/faults.js';
import type { Principal } from '../providers/contract.js';
import { STEP_UP_LINKS, stepUpWords, type StepUpLinks, type WantedScopes } from '../providers/step-up.js';
import { spellOutAccept } from './accept.js';
import { Changes } from './changes.js';
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
import { callerOf, type AdmittedRequest } from './request-caller.js';
import { Servers } from './servers.js';
import { Sessions } from './sessions.js';
import { Streams } from './streams.js';

const BATCH_VERSION = '2025-03-26';
const MAX_BATCH = 50;

/** What the policy found missing. */
type Lacking = NonNullable<ReturnType<Policy['lacking']>>;

/** One exchange at the MCP endpoint, its body parsed. */
export interface Exchange {
  readonly request: AdmittedRequest;
  readonly response: ServerResponse;
  readonly body: unknown;
}

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
    private readonly access: Access,
    private readonly events: Events,
    private readonly policy: Policy,
    private readonly sessions: Sessions,
    private readonly streams: Streams,
    servers: Servers,
    changes: Changes,
    @Optional() @Inject(STEP_UP_LINKS) private readonly stepUpLinks?: StepUpLinks,
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
    const body = Array.isArray(received)
      ? received.map((message: unknown) => withoutFault(message))
      : this.#withoutHidden(received, principal);
    caller.carry(body);
    const route = classify(request, body);
    const legacy = route.kind === 'legacy';
    const malformed = faultOfRequest(body, legacy ? 'legacy' : 'modern');
    // 2025 clients take an error status for a broken connection, so they get the JSON-RPC error alone.
    if (malformed !== null)
      return answer(response, legacy ? 200 : 400, errorBody(INVALID_PARAMS_CODE, malformed, idOf(body)));
    const lacking = this.policy.lacking(principal, messagesOf(body));
    if (lacking) return this.#refuse({ request, response, body }, { principal, lacking, legacy });
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

  /**
   * 403 before a stream opens, for every era and for all messages of a batch in one challenge (RS-13, RS-14). With `GATEHOUSE_STEP_UP=link` a tool
   * call of a 2025 client, which may ignore a 403, gets a result with a link instead (S2).
   */
  async #refuse(
    { request, response, body }: Exchange,
    { principal, lacking, legacy }: { principal: Principal; lacking: Lacking; legacy: boolean },
  ): Promise<void> {
    const wanted = { scopes: lacking.scopes, tools: lacking.names };
    const link = legacy && isToolCall(body) ? await this.#stepUpLink(principal, wanted) : null;
    if (link) {
      // An error result, since clients refuse a good one that lacks the structured content of the tool's output schema.
      const result = { content: [{ type: 'text', text: stepUpWords(link, wanted) }], isError: true };
      answer(response, 200, JSON.stringify({ jsonrpc: '2.0', id: idOf(body), result }));
    } else {
      const { status, headers, description, error } = this.access.insufficientScope(principal, lacking.scopes);
      answer(response, status, errorBody(status, description, idOf(body), { error }), headers);
    }
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
  }

  /** null: the operator wants challenges, or there is no Grant to widen. */
  async #stepUpLink(principal: Principal, wanted: WantedScopes): Promise<URL | null> {
    if (this.settings.values.stepUp !== 'link') return null;
    try {
      return (await this.stepUpLinks?.linkFor(principal, wanted)) ?? null;
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error;
      this.#log.warn(`a step-up link was not made: ${error.message}`);
      return null;
    }
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

/** A single request, since a batch would need one result for each of its messages. */
function isToolCall(body: unknown): boolean {
  const [message] = Array.isArray(body) ? [] : messagesOf(body);
  return message?.method === 'tools/call' && message.id !== undefined;
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

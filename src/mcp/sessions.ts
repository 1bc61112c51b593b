import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { isInitializeRequest, type ServerEvent } from '@modelcontextprotocol/server';
import { Settings } from '../config/settings.js';
import type { Principal } from '../providers/contract.js';
import { Changes } from './changes.js';
import { errorBody, idOf, INVALID_REQUEST_CODE } from './json-rpc.js';
import { callerOf, type AdmittedRequest } from './request-caller.js';
import { type CatalogueServer, Servers } from './servers.js';
import { canonical } from './policy.js';

const IDLE_MS = 30 * 60_000;
const SWEEP_MS = 60_000;
const SESSIONS_PER_CALLER = 20;

interface McpSession {
  readonly id: string;
  /** `Principal.key` of who began it: an id never authenticates (security.md 41). */
  readonly owner: string;
  readonly server: CatalogueServer;
  readonly transport: NodeStreamableHTTPServerTransport;
  usedAt: number;
  /** Responses that are open now; a session with one is not idle. */
  open: number;
}

/** One request for a session. */
export interface SessionRequest {
  readonly request: AdmittedRequest;
  readonly response: ServerResponse;
  readonly body: unknown;
}

/** In-memory MCP sessions of 2025-era clients, so that tools can ask them something (`GATEHOUSE_LEGACY_SESSIONS=on`). */
@Injectable()
export class Sessions implements OnApplicationShutdown {
  readonly #log = new Logger('Mcp');
  /** Least recently used first. */
  readonly #sessions = new Map<string, McpSession>();
  readonly #unsubscribe: () => void;
  #sweep: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly servers: Servers,
    changes: Changes,
  ) {
    this.#unsubscribe = changes.bus.subscribe((event) => this.#announce(event));
  }

  /** The protocol version that a session has agreed on; undefined: no such session of this Principal. */
  versionOf(id: string | undefined, principal: Principal): string | undefined {
    return this.#find(id, principal)?.server.server.getNegotiatedProtocolVersion();
  }

  /** Answers a 2025-era request: `initialize` begins a session, all else needs the id of one that is this Principal's. */
  async serve({ request, response, body }: SessionRequest): Promise<void> {
    const { principal } = callerOf(request.auth);
    const header = request.headers['mcp-session-id'];
    const id = Array.isArray(header) ? header[0] : header;
    if (id === undefined && request.method === 'POST' && isInitializeRequest(body))
      return this.#begin({ request, response, body });
    if (id === undefined) {
      const text = 'Mcp-Session-Id is missing: begin with initialize';
      return refuse(response, 400, errorBody(INVALID_REQUEST_CODE, text, idOf(body)));
    }
    const session = this.#find(id, principal);
    if (!session)
      return refuse(response, 404, errorBody(404, 'No such MCP session: begin a new one with initialize', idOf(body)));
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    await this.#pass(session, { request, response, body });
  }

  /** Ends every session. */
  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#sweep);
    this.#unsubscribe();
    await Promise.all([...this.#sessions.values()].map((session) => this.#end(session)));
  }

  /** Ends those that nobody has used for half an hour; public so that tests need not wait for the timer. */
  async endIdle(now = Date.now()): Promise<void> {
    for (const session of this.#sessions.values())
      if (session.open === 0 && now - session.usedAt > IDLE_MS) await this.#end(session);
  }

  /** How many there are. */
  get count(): number {
    return this.#sessions.size;
  }

  async #begin(asked: SessionRequest): Promise<void> {
    const { principal } = callerOf(asked.request.auth);
    await this.#makeRoomFor(principal);
    const server = this.servers.create();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => randomBytes(32).toString('base64url'),
      onsessioninitialized: (id) => {
        const session = { id, owner: principal.key, server, transport, usedAt: Date.now(), open: 1 };
        this.#sessions.set(id, session);
        asked.response.once('close', () => this.#release(session));
      },
      onsessionclosed: (id) => {
        this.#sessions.delete(id);
      },
    });
    await server.connect(transport);
    await transport.handleRequest(asked.request, asked.response, asked.body);
    this.#sweep ??= setInterval(() => void this.endIdle(), SWEEP_MS).unref();
  }

  async #pass(session: McpSession, { request, response, body }: SessionRequest): Promise<void> {
    session.open++;
    response.once('close', () => this.#release(session));
    await session.transport.handleRequest(request, response, body);
  }

  #release(session: McpSession): void {
    session.open--;
    session.usedAt = Date.now();
  }

  #find(id: string | undefined, principal: Principal): McpSession | undefined {
    const session = id === undefined ? undefined : this.#sessions.get(id);
    return session?.owner === principal.key ? session : undefined;
  }

  async #makeRoomFor({ key }: Principal): Promise<void> {
    if (!this.settings.values.rateLimits) return;
    const own = [...this.#sessions.values()].filter(({ owner }) => owner === key);
    for (const session of own.slice(0, Math.max(0, own.length - SESSIONS_PER_CALLER + 1))) await this.#end(session);
  }

  async #end(session: McpSession): Promise<void> {
    this.#sessions.delete(session.id);
    await session.server
      .close()
      .catch((error: unknown) => this.#log.warn(`an MCP session did not close: ${String(error)}`));
  }

  #announce(event: ServerEvent): void {
    for (const { server } of this.#sessions.values())
      notify(server, event).catch((error: unknown) => this.#log.debug(`a session heard nothing: ${String(error)}`));
  }
}

async function notify({ server, subscriptions }: CatalogueServer, event: ServerEvent): Promise<void> {
  switch (event.kind) {
    case 'tools_list_changed':
      return server.sendToolListChanged();
    case 'prompts_list_changed':
      return server.sendPromptListChanged();
    case 'resources_list_changed':
      return server.sendResourceListChanged();
    case 'resource_updated':
      if (subscriptions.has(canonical(event.uri))) await server.sendResourceUpdated({ uri: event.uri });
  }
}

function refuse(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body);
}

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { TOKEN } from './gatehouse.js';

/** The revision of the modern era. */
export const MODERN = '2026-07-28';

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON body, or the last message of a stream; undefined: neither. */
  readonly message: Message | undefined;
}

/** A JSON-RPC message as tests look at it. */
export interface Message {
  readonly jsonrpc: string;
  readonly id: unknown;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly data?: Readonly<Record<string, unknown>>;
  };
}

/** Sends a body to the endpoint; headers with the value null are left out. */
export async function post(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string | null>> = {},
): Promise<Answer> {
  const all: Record<string, string | null> = {
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...headers,
  };
  const sent = Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null));
  const response = await fetch(url, {
    method: 'POST',
    headers: sent,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    redirect: 'manual',
  });
  return readAnswer(response);
}

/** Reads a whole answer. */
export async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, message: lastMessage(response, text) };
}

/** A 2025 request. */
export function legacy(method: string, params: object = {}, id: unknown = 1): object {
  return { jsonrpc: '2.0', id, method, params };
}

/** A 2026 request and its headers; `more` overrides headers. */
export function modern(
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, string | null>> = {},
): [body: object, headers: Record<string, string | null>] {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  };
  const name = params['name'] ?? params['uri'];
  return [
    { jsonrpc: '2.0', id: 1, method, params: { _meta: meta, ...params } },
    {
      'mcp-protocol-version': MODERN,
      'mcp-method': method,
      ...(typeof name === 'string' ? { 'mcp-name': name } : {}),
      ...more,
    },
  ];
}

/** What every real client in these tests can do. */
export interface AnyClient {
  connect(): Promise<void>;
  tools(): Promise<string[]>;
  /** The text of the first content block. */
  call(name: string, args: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

/** The official clients, by the name used in test titles. */
export const realClients: Readonly<Record<string, (url: string, token: string | null) => AnyClient>> = {
  'sdk 1.x': (url, token) => {
    const client = new ClientV1({ name: 'test', version: '1' });
    const transport = new TransportV1(new URL(url), { requestInit: { headers: bearer(token) } });
    return asAny(client, () => client.connect(transport));
  },
  'client 2.x legacy': (url, token) => clientV2(url, token, 'legacy'),
  'client 2.x auto': (url, token) => clientV2(url, token, 'auto'),
  'client 2.x pinned 2026-07-28': (url, token) => clientV2(url, token, { pin: MODERN }),
};

function clientV2(url: string, token: string | null, mode: 'legacy' | 'auto' | { pin: string }): AnyClient {
  const client = new ClientV2({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
  const transport = new TransportV2(new URL(url), { requestInit: { headers: bearer(token) } });
  return asAny(client, () => client.connect(transport));
}

function asAny(client: ClientV1 | ClientV2, connect: () => Promise<void>): AnyClient {
  return {
    connect,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args) => {
      const result = await client.callTool({ name, arguments: args });
      const [block] = result['content'] as { text?: string }[];
      return block?.text ?? '';
    },
    close: () => client.close(),
  };
}

function bearer(token: string | null): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

function lastMessage(response: Response, text: string): Message | undefined {
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('application/json') && text) return JSON.parse(text) as Message;
  const data = text.split('\n').filter((line) => line.startsWith('data: {'));
  const last = data.at(-1);
  return last ? (JSON.parse(last.slice(6)) as Message) : undefined;
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a fake answers; `hang`: accepts the request and stays silent, `reset`: cuts the connection, `flood`: 50 MB. */
export type FakeAnswer =
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | object | null;
    }
  | 'hang'
  | 'reset'
  | 'flood';

/** A request as a fake saw it. */
export interface FakeRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** The body read as a form; empty for other bodies. */
  readonly form: URLSearchParams;
}

/** Answers one route of a fake. */
export type FakeRoute = (request: FakeRequest) => FakeAnswer | Promise<FakeAnswer>;

const FLOOD_BYTES = 50 * 1024 * 1024;

/** A loopback server that plays an upstream: routes with behaviour, faults laid over them, and a record of what was asked. */
export class FakeServer {
  readonly requests: FakeRequest[] = [];
  readonly #routes = new Map<string, FakeRoute>();
  readonly #faults = new Map<string, FakeAnswer>();
  readonly #server: Server;
  #origin = '';

  constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: Error) => response.destroy(error));
    });
  }

  /** `http://127.0.0.1:<port>`, fixed by `listen`. */
  get origin(): string {
    return this.#origin;
  }

  /** @param port default: any free one; name it to come back after `close` where clients expect the server */
  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    this.#origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** @param route for example `GET /user` */
  on(route: string, answer: FakeRoute): void {
    this.#routes.set(route, answer);
  }

  /** Lays an answer over a route, or over every route with `*`; null takes it away again. */
  fault(route: string, answer: FakeAnswer | null): void {
    if (answer === null) this.#faults.delete(route);
    else this.#faults.set(route, answer);
  }

  /** Takes every fault away. */
  mend(): void {
    this.#faults.clear();
  }

  /** How often a route was asked. */
  count(route: string): number {
    return this.requests.filter(({ method, url }) => `${method} ${url.pathname}` === route).length;
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString('utf8');
    const isForm = message.headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;
    const request: FakeRequest = {
      method: message.method ?? 'GET',
      url: new URL(message.url ?? '/', this.#origin),
      headers: message.headers,
      body,
      form: new URLSearchParams(isForm ? body : ''),
    };
    this.requests.push(request);
    const route = `${request.method} ${request.url.pathname}`;
    const fault = this.#faults.get(route) ?? this.#faults.get('*');
    send(
      response,
      fault ?? (await this.#routes.get(route)?.(request)) ?? { status: 404, body: { message: 'Not Found' } },
    );
  }
}

function send(response: ServerResponse, answer: FakeAnswer): void {
  if (answer === 'hang') return;
  if (answer === 'reset') {
    response.socket?.destroy();
    return;
  }
  if (answer === 'flood') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.on('error', () => response.destroy());
    response.end(Buffer.alloc(FLOOD_BYTES, 0x20));
    return;
  }
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? null);
  const type = typeof answer.body === 'string' ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8';
  response.writeHead(answer.status ?? 200, { 'content-type': type, ...answer.headers });
  response.end(text);
}

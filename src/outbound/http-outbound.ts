import { lookup as systemLookup, type LookupAddress, type LookupAllOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { OnApplicationShutdown } from '@nestjs/common';
import { Agent, type Dispatcher } from 'undici';
import { isGlobalUnicast } from './address.js';
import { Circuit } from './circuit.js';
import { type Outbound, OutboundFailed, type OutboundRequest, type OutboundResponse } from './outbound.js';

/** Injection token of the `Outbound` in force. */
export const OUTBOUND = Symbol('outbound');

const TIMEOUT_MS = 8000;
const MAX_BYTES = 1024 * 1024;
const CONNECTIONS_PER_HOST = 64;

/** What tests replace: the resolver, the verdict on an address, trusted certificates, the monotonic clock in milliseconds. */
export interface HttpOutboundParts {
  readonly resolve?: typeof resolveAll;
  readonly permits?: (address: string) => boolean;
  readonly ca?: string;
  readonly now?: () => number;
}

type Resolved = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

function resolveAll(host: string, options: LookupAllOptions, done: Resolved): void {
  systemLookup(host, options, done);
}

/** The real way out, on undici. */
export class HttpOutbound implements Outbound, OnApplicationShutdown {
  readonly #operator: Agent;
  readonly #stranger: Agent;
  readonly #circuit: Circuit;
  readonly #permits: (address: string) => boolean;

  constructor(parts: HttpOutboundParts = {}) {
    this.#permits = parts.permits ?? isGlobalUnicast;
    this.#circuit = new Circuit(parts.now);
    const tls = parts.ca === undefined ? {} : { ca: parts.ca };
    this.#operator = new Agent({ connections: CONNECTIONS_PER_HOST, connect: tls });
    // The guard sits in the lookup of the connection itself: what was checked is what is dialled, and a name that changes its mind gains nothing.
    const lookup = guardedLookup(parts.resolve ?? resolveAll, this.#permits);
    this.#stranger = new Agent({ connections: 4, keepAliveTimeout: 1, connect: { ...tls, lookup } });
  }

  async send(url: URL, request: OutboundRequest = {}): Promise<OutboundResponse> {
    const stranger = request.trust === 'stranger';
    if (stranger) this.#refuseAddress(url);
    else this.#refuseOpenCircuit(url);
    const timeout = request.timeoutMs ?? TIMEOUT_MS;
    try {
      const answer = await this.#exchange(url, request, {
        agent: stranger ? this.#stranger : this.#operator,
        signal: AbortSignal.timeout(Math.max(1, Math.ceil(timeout))),
      });
      if (!stranger) this.#circuit.answered(url.origin);
      return answer;
    } catch (cause) {
      const failure = asFailure(cause, url);
      if (!stranger && failure.kind !== 'too-large') this.#circuit.failed(url.origin);
      throw failure;
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#operator.destroy(), this.#stranger.destroy()]);
  }

  #refuseAddress(url: URL): void {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (url.protocol !== 'https:') throw new OutboundFailed('refused-address', 'only https addresses are fetched');
    if (url.username || url.password) throw new OutboundFailed('refused-address', 'an address with user info');
    // net.connect does not look literals up, so the guarded lookup would never see this one.
    if (isIP(host) && !this.#permits(host)) throw new OutboundFailed('refused-address', 'not a public address');
  }

  #refuseOpenCircuit(url: URL): void {
    const wait = this.#circuit.wait(url.origin);
    if (wait > 0) throw new OutboundFailed('unreachable', `${url.host} did not answer lately; next try in ${wait} s`);
  }

  async #exchange(
    url: URL,
    request: OutboundRequest,
    { agent, signal }: { agent: Agent; signal: AbortSignal },
  ): Promise<OutboundResponse> {
    const answer = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method ?? 'GET',
      headers: { 'user-agent': 'gatehouse', 'accept-encoding': 'identity', ...lowerCase(request.headers) },
      body: request.body ?? null,
      signal,
    });
    const headers = toHeaders(answer.headers);
    const encoding = headers.get('content-encoding');
    if (encoding !== null && encoding !== 'identity') {
      answer.body.on('error', ignore).destroy();
      throw new OutboundFailed(
        'unreachable',
        `${url.host} answered in the encoding ${encoding} that was not asked for`,
      );
    }
    const text = await readCapped(answer.body, request.maxBytes ?? MAX_BYTES, url.host);
    return { status: answer.statusCode, headers, text };
  }
}

function guardedLookup(resolve: typeof resolveAll, permits: (address: string) => boolean): LookupFunction {
  return (host, options, done) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, []);
      if (addresses.length === 0 || !addresses.every(({ address }) => permits(address)))
        return done(new OutboundFailed('refused-address', 'the name does not lead to a public address'), []);
      if (options.all) return done(null, addresses);
      const [first] = addresses;
      return done(null, first?.address ?? '', first?.family);
    });
  };
}

async function readCapped(body: Dispatcher.ResponseData['body'], maxBytes: number, host: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop destroys the body, and with it the connection.
    if (size > maxBytes) throw new OutboundFailed('too-large', `${host} answered with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function asFailure(cause: unknown, url: URL): OutboundFailed {
  for (let error = cause; error instanceof Error; error = error.cause)
    if (error instanceof OutboundFailed) return error;
  if (cause instanceof Error && (cause.name === 'TimeoutError' || cause.name === 'AbortError'))
    return new OutboundFailed('timeout', `${url.host} did not answer in time`, { cause });
  const code = (cause as { code?: string } | null)?.code;
  const timedOut = code?.startsWith('UND_ERR_') && code.endsWith('_TIMEOUT');
  return new OutboundFailed(
    timedOut ? 'timeout' : 'unreachable',
    `${url.host} cannot be reached${code ? ` (${code})` : ''}`,
    {
      cause,
    },
  );
}

function toHeaders(raw: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(raw))
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) headers.append(name, one);
  return headers;
}

function lowerCase(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function ignore(): void {}

import { type Outbound, OutboundFailed, type OutboundRequest } from '../outbound/outbound.js';
import { UpstreamUnavailable } from './contract.js';

/** An answer of an upstream's API. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The body; undefined when it is no JSON. */
  readonly body: unknown;
}

/**
 * Asks an upstream's API for JSON.
 * @throws UpstreamUnavailable no answer, or a status of 429 or 5xx
 */
export async function askJson(outbound: Outbound, url: URL, request: OutboundRequest = {}): Promise<JsonAnswer> {
  const answer = await outbound
    .send(url, { ...request, headers: { accept: 'application/json', ...request.headers } })
    .catch((cause: unknown): never => {
      if (cause instanceof OutboundFailed) throw new UpstreamUnavailable(cause.message, 5, { cause });
      throw cause;
    });
  if (answer.status === 429 || answer.status >= 500)
    throw new UpstreamUnavailable(`${url.host}${url.pathname} answered ${answer.status}`, retryAfter(answer.headers));
  return { status: answer.status, headers: answer.headers, body: parse(answer.text) };
}

/** `Retry-After` in seconds between 1 and 300 (RFC 9110 §10.2.3); 5 when it is absent or a date. */
export function retryAfter(headers: Headers): number {
  const seconds = Number(headers.get('retry-after') ?? NaN);
  return Number.isInteger(seconds) && seconds > 0 ? Math.min(seconds, 300) : 5;
}

/** A JSON object; null for everything else. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;
}

/** A non-empty string; undefined for everything else. */
export function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Epoch seconds at which a token ends, from `expires_in` (numbers and numeric strings are seen); undefined: it was not said. */
export function endOf(expiresIn: unknown, now: number = Date.now() / 1000): number | undefined {
  const seconds = typeof expiresIn === 'string' && expiresIn !== '' ? Number(expiresIn) : expiresIn;
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0 ? Math.floor(now + seconds) : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

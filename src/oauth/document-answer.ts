import type { OutboundResponse } from '../outbound/outbound.js';
import { faultOfDocument } from '../protocol/client-metadata.js';

/** Seconds of freshness at least and at most, whatever the host says. */
export const FRESH_MIN = 30;
const FRESH_MAX = 86_400;

/** Which check a document failed, and what was found; for administrators only. */
export interface DocumentFault {
  readonly check: 'document-unreachable' | 'document-client-id' | 'document-invalid';
  readonly why: string;
}

/** What is wrong with the answer to a fetch of a metadata document or key set; null: nothing. */
export function faultOf(response: OutboundResponse, kind: 'document' | 'keys', url: string): DocumentFault | null {
  const unreachable = (why: string): DocumentFault => ({ check: 'document-unreachable', why });
  const invalid = (why: string): DocumentFault => ({ check: 'document-invalid', why });
  if (response.status !== 200) return unreachable(`its host answered with status ${response.status}`);
  const type = (response.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json' && !/^application\/[a-z0-9.-]+\+json$/.test(type))
    return invalid(`its content type is ${type === '' ? 'missing' : type}, not application/json`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(response.text);
  } catch {
    return invalid('it is not JSON');
  }
  if (kind === 'keys')
    return Array.isArray((parsed as { keys?: unknown } | null)?.keys) ? null : invalid('it is not a key set');
  const fault = faultOfDocument(url, parsed);
  if (fault === null) return null;
  const named = (parsed as { client_id?: unknown } | null)?.client_id;
  return typeof named === 'string' && named !== url
    ? { check: 'document-client-id', why: `it names ${named.slice(0, 300)} as its client_id` }
    : invalid(`it ${fault}`);
}

/** Seconds of freshness by `Cache-Control` and `Expires` (RFC 9111 §4.2.1), from 30 s to a day. */
export function freshSeconds(headers: Headers, at: number): number {
  const control = headers.get('cache-control')?.toLowerCase() ?? '';
  if (/(^|,)\s*(no-store|no-cache)\b/.test(control)) return FRESH_MIN;
  const maxAge = /(?:^|,)\s*max-age\s*=\s*"?(\d+)/.exec(control)?.[1];
  const expires = Date.parse(headers.get('expires') ?? '') / 1000 - at;
  const wanted = maxAge === undefined ? (Number.isFinite(expires) ? Math.floor(expires) : FRESH_MIN) : Number(maxAge);
  return Math.min(FRESH_MAX, Math.max(FRESH_MIN, wanted));
}

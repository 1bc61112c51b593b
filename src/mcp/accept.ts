import type { IncomingMessage } from 'node:http';

const BOTH = 'application/json, text/event-stream';

/**
 * Spells out an `Accept` that takes everything (absent or with a full wildcard, RFC 9110 §12.5.1): the SDK's 2025 leg answers 406 unless both
 * types are named, and `curl` names none.
 */
export function spellOutAccept(request: IncomingMessage): void {
  const { accept } = request.headers;
  if (accept !== undefined && !/(^|,)\s*\*\/\*\s*(;|,|$)/.test(accept)) return;
  request.headers.accept = BOTH;
  // The SDK reads one or the other.
  const index = request.rawHeaders.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === 'accept');
  if (index < 0) request.rawHeaders.push('accept', BOTH);
  else request.rawHeaders[index + 1] = BOTH;
}

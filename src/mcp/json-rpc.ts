/** Codes of JSON-RPC 2.0. HTTP-level refusals use the HTTP status as code: those numbers lie outside the reserved ranges (HT-26). */
export const PARSE_FAULT = -32700;
export const INVALID_REQUEST_CODE = -32600;
export const INVALID_PARAMS_CODE = -32602;
export const INTERNAL_FAULT = -32603;

/** How deep a body may nest (security.md, Limits). */
export const MAX_DEPTH = 100;

/** A JSON-RPC error as text. `id` null: the request could not be told (JSON-RPC 2.0 §5). */
export function errorBody(code: number, message: string, id: unknown = null, data?: unknown): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id: typeof id === 'string' || typeof id === 'number' ? id : null,
    error: { code, message, ...(data === undefined ? {} : { data }) },
  });
}

/** Does the value nest deeper than `MAX_DEPTH`? Iterative: a recursive walk would be the overflow it looks for. */
export function isTooDeep(value: unknown): boolean {
  let level = containers([value]);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= MAX_DEPTH) return true;
    level = level.flatMap((container) => containers(Object.values(container)));
  }
  return false;
}

function containers(values: readonly unknown[]): object[] {
  return values.filter((value): value is object => typeof value === 'object' && value !== null);
}

/** A JSON-RPC request or notification, read leniently: only what routing and policy look at. */
export interface Message {
  readonly method: string;
  readonly id: unknown;
  readonly params: Readonly<Record<string, unknown>>;
}

/** The requests and notifications in a body, single or batch; anything else is left out. */
export function messagesOf(body: unknown): Message[] {
  return (Array.isArray(body) ? body : [body]).flatMap((item: unknown) => {
    if (typeof item !== 'object' || item === null || !('method' in item) || typeof item.method !== 'string') return [];
    const params = 'params' in item && typeof item.params === 'object' && item.params !== null ? item.params : {};
    return [{ method: item.method, id: 'id' in item ? item.id : undefined, params: params as Record<string, unknown> }];
  });
}

/** The id to echo: that of a single request. */
export function idOf(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'id' in body ? body.id : null;
}

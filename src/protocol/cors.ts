/** Request headers that browsers may send to us (the contract's list). */
const ALLOWED_HEADERS = [
  'Authorization',
  'Content-Type',
  'Accept',
  'MCP-Protocol-Version',
  'Mcp-Session-Id',
  'Mcp-Method',
  'Mcp-Name',
  'Last-Event-ID',
  'DPoP',
];
const EXPOSED_HEADERS = ['WWW-Authenticate', 'Mcp-Session-Id', 'MCP-Protocol-Version', 'Retry-After', 'DPoP-Nonce'];

/** Headers of every answer of a public OAuth endpoint: any origin, and no credentials, since nothing here reads cookies. */
export const openCorsHeaders: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': EXPOSED_HEADERS.join(', '),
};

/** Headers of every answer to an allowed origin, 401 included (X1); none without an origin. No credentials: the token is a header. */
export function corsHeaders(origin: string | undefined): Record<string, string> {
  if (origin === undefined) return {};
  return { ...openCorsHeaders, 'access-control-allow-origin': origin, vary: 'Origin' };
}

/** Headers of the answer to a preflight; `requested` is `Access-Control-Request-Headers`, of which every `Mcp-Param-*` is allowed too. */
export function preflightHeaders(methods: readonly string[], requested?: string): Record<string, string> {
  const parameters = (requested ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => /^mcp-param-[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name));
  return {
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers': [...ALLOWED_HEADERS, ...parameters].join(', '),
    'access-control-max-age': '600',
  };
}

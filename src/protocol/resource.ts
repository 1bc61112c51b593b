/** The resources this server issues tokens for. */
export interface Resources {
  /** Origin without trailing slash. */
  readonly publicUrl: string;
  readonly mcpUrl: string;
  readonly adminUrl: string;
}

/**
 * The canonical form of a `resource` a client named (RFC 8707 §2), or null when it is none of ours. The MCP URL is meant by itself, with a trailing
 * slash, and by the bare origin: clients send all three (real-clients D1). Scheme and host are compared in any case, the path exactly.
 */
export function canonicalResource(asked: string, { publicUrl, mcpUrl, adminUrl }: Resources): string | null {
  if (!URL.canParse(asked) || /[#?\\\s]/.test(asked)) return null;
  const url = new URL(asked);
  if (url.username || url.password || url.origin !== publicUrl) return null;
  const path = rawPath(asked).replace(/\/$/, '');
  if (path === '' || path === mcpUrl.slice(publicUrl.length)) return mcpUrl;
  return path === adminUrl.slice(publicUrl.length) ? adminUrl : null;
}

/** The path as it was written: `URL` would resolve dot segments. */
function rawPath(url: string): string {
  const afterScheme = url.slice(url.indexOf('://') + 3);
  const slash = afterScheme.indexOf('/');
  return slash < 0 ? '' : afterScheme.slice(slash);
}

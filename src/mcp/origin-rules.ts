const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** From where `/mcp` may be called. */
export interface OriginRules {
  /** Our own origin. */
  readonly publicUrl: string;
  /** Origins, or `*`. */
  readonly allowedOrigins: readonly string[];
  /** The address we listen on. */
  readonly listenHost: string;
}

/** Is it the loopback interface, by name or address? IPv6 with or without brackets. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * May a browser page of this origin call us (HT-2, security.md 38)? Absent: not a browser. `null`, the opaque origin, never.
 * When we are on loopback ourselves, so may every other loopback origin: they are programs of the same person (MCP Inspector), and still need a token.
 */
export function isAllowedOrigin(origin: string | undefined, rules: OriginRules): boolean {
  if (origin === undefined) return true;
  if (!URL.canParse(origin) || origin === 'null') return false;
  if (rules.allowedOrigins.includes('*')) return true;
  const url = new URL(origin);
  const listed = [rules.publicUrl, ...rules.allowedOrigins].some((allowed) => sameOrigin(allowed, url, origin));
  return listed || (isLoopback(url.hostname) && isLoopback(new URL(rules.publicUrl).hostname));
}

/** May this Host be asked for? Only a loopback listener cares: a name rebound to 127.0.0.1 is an attack (CVE-2025-66414), elsewhere no URL depends on it. */
export function isAllowedHost(host: string | undefined, rules: OriginRules): boolean {
  // An authority with more than name and port would make the SDK's own URL of the request unreadable, or another one.
  if (host === undefined || !/^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host)) return false;
  if (!URL.canParse(`http://${host}`)) return false;
  if (!isLoopback(rules.listenHost)) return true;
  const { hostname } = new URL(`http://${host}`);
  return isLoopback(hostname) || hostname === new URL(rules.publicUrl).hostname;
}

function sameOrigin(allowed: string, url: URL, origin: string): boolean {
  if (!URL.canParse(allowed)) return false;
  const other = new URL(allowed);
  // Schemes that are not special (browser extensions) have the opaque origin "null" in the URL standard, so they are compared as text.
  return other.origin === 'null' ? allowed.toLowerCase() === origin.toLowerCase() : other.origin === url.origin;
}

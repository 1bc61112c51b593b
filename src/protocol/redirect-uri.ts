import { isIP } from 'node:net';

/** Schemes that a browser runs or reads by itself: never a place to return to (RFC 6749 §3.1.2, security.md 2). */
const BROWSER_RUN = new Set([
  'javascript',
  'data',
  'file',
  'blob',
  'vbscript',
  'about',
  'view-source',
  'filesystem',
  'ws',
  'wss',
  'ftp',
  'mailto',
  'jar',
  'resource',
  'chrome',
  'content',
  'intent',
  'android-app',
]);

/** Native schemes of known editors and assistants: usable by exact match without an administrator (real-clients R1). */
export const KNOWN_SCHEMES: ReadonlySet<string> = new Set([
  'cursor',
  'vscode',
  'vscode-insiders',
  'vscodium',
  'windsurf',
  'windsurf-next',
  'claude',
  'claude-desktop',
  'kiro',
  'trae',
  'zed',
  'warp',
  'goose',
  'raycast',
  'cherrystudio',
  'lmstudio',
  'jetbrains',
  'com.raycast',
  'codex',
  'chatgpt',
  'positron',
  'void',
  'opencode',
  'amp',
]);

/** Parameters that belong to the authorization response, so they may not stand in a registered query. */
const RESPONSE_PARAMETERS = [
  'code',
  'state',
  'iss',
  'error',
  'error_description',
  'error_uri',
  'response',
  'id_token',
  'access_token',
];

const MAX_BYTES = 2048;
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])$/i;
const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):/;

/** How much we know of a redirect URI by its form alone. */
export type RedirectKind = 'https' | 'loopback' | 'native';

/** A redirect URI by its parts, as far as matching needs them. */
interface Parts {
  readonly scheme: string;
  /** Raw, with port; empty for `scheme:path` forms. */
  readonly authority: string;
  /** Path, query: raw. */
  readonly rest: string;
}

/**
 * What is wrong with a redirect URI offered at registration; null: nothing. Matching is by raw strings later, so everything that two parsers may read
 * differently is refused here (security.md 2).
 */
export function faultOfRedirectUri(uri: unknown): string | null {
  if (typeof uri !== 'string' || uri === '') return 'must be a non-empty string';
  if (Buffer.byteLength(uri) > MAX_BYTES) return `must not be longer than ${MAX_BYTES} bytes`;
  if (!/^[\x21-\x7E]+$/.test(uri)) return 'must hold visible ASCII characters only';
  if (/[\\<>"^`{|}*]/.test(uri)) return 'must not hold wildcards or characters outside RFC 3986';
  if (/%(?![0-9A-Fa-f]{2})/.test(uri)) return 'must not hold a broken percent-encoding';
  if (/%(0[0-9A-Fa-f]|1[0-9A-Fa-f]|7[Ff]|5[Cc])/.test(uri))
    return 'must not hold encoded control characters or backslashes';
  if (uri.includes('#')) return 'must not hold a fragment';
  const parts = partsOf(uri);
  if (!parts) return 'must be an absolute URI';
  if (BROWSER_RUN.has(parts.scheme)) return `must not use the scheme ${parts.scheme}`;
  if (!URL.canParse(uri)) return 'must be a valid URI';
  if (parts.authority.includes('@')) return 'must not hold a user name or password';
  if (hasDotSegment(parts.rest)) return 'must not hold dot segments';
  return (
    faultOfQuery(uri) ??
    (parts.scheme === 'http' || parts.scheme === 'https' ? faultOfWeb(parts) : faultOfNative(parts))
  );
}

/** `https`; `loopback` for http on this machine; `native` for private-use schemes. Only for URIs that `faultOfRedirectUri` let pass. */
export function kindOfRedirectUri(uri: string): RedirectKind {
  const scheme = schemeOf(uri);
  return scheme === 'https' ? 'https' : scheme === 'http' ? 'loopback' : 'native';
}

/** The scheme in lower case; empty: there is none. */
export function schemeOf(uri: string): string {
  return SCHEME.exec(uri)?.[1]?.toLowerCase() ?? '';
}

/** An http URI of `localhost`, `127.0.0.1` or `[::1]`, whose port is free (RFC 8252 §7.3; names count, real-clients A1). */
export function isLoopback(uri: string): boolean {
  const parts = partsOf(uri);
  return (
    parts !== null &&
    parts.scheme === 'http' &&
    LOOPBACK_HOST.test(hostOf(parts.authority)) &&
    hasGoodPort(parts.authority)
  );
}

/** The same URI without its port when it is a loopback one; any other unchanged. */
export function withoutLoopbackPort(uri: string): string {
  if (!isLoopback(uri)) return uri;
  const parts = partsOf(uri)!;
  return `http://${hostOf(parts.authority)}${parts.rest}`;
}

/** May a Client that registered `registered` return to `asked`? Raw strings, only the port of an http loopback URI is free (security.md 1). */
export function redirectMatches(registered: readonly string[], asked: string): boolean {
  if (registered.includes(asked)) return true;
  if (!isLoopback(asked) || faultOfRedirectUri(asked) !== null) return false;
  const wanted = withoutLoopbackPort(asked);
  return registered.some((uri) => isLoopback(uri) && withoutLoopbackPort(uri) === wanted);
}

/** Is this URI usable now? Native schemes only when known, or when an administrator approved the Client (real-clients R1). */
export function isUsable(uri: string, client: { readonly trusted: boolean }): boolean {
  return kindOfRedirectUri(uri) !== 'native' || client.trusted || KNOWN_SCHEMES.has(schemeOf(uri));
}

/** What the sign-in page says of where the person goes next: a host, or the application's scheme. */
export function placeOfRedirectUri(uri: string): string {
  const parts = partsOf(uri);
  if (!parts) return uri;
  return kindOfRedirectUri(uri) === 'native' ? `${parts.scheme}:` : hostOf(parts.authority);
}

function partsOf(uri: string): Parts | null {
  const scheme = SCHEME.exec(uri);
  if (!scheme) return null;
  const after = uri.slice(scheme[0].length);
  if (!after.startsWith('//')) return { scheme: scheme[1]!.toLowerCase(), authority: '', rest: after };
  const end = after.slice(2).search(/[/?#]/);
  const authority = end < 0 ? after.slice(2) : after.slice(2, 2 + end);
  return { scheme: scheme[1]!.toLowerCase(), authority, rest: end < 0 ? '' : after.slice(2 + end) };
}

function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, '');
}

function hasGoodPort(authority: string): boolean {
  const port = /:(\d*)$/.exec(authority.replace(/^\[[^\]]*\]/, ''))?.[1];
  return port === undefined || (/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535);
}

function hasDotSegment(rest: string): boolean {
  const path = rest.split('?')[0]!;
  return path.split('/').some((segment) => ['.', '..'].includes(segment.replace(/%2e/gi, '.')));
}

function faultOfQuery(uri: string): string | null {
  const start = uri.indexOf('?');
  if (start < 0) return null;
  const query = new URLSearchParams(uri.slice(start + 1));
  const clash = RESPONSE_PARAMETERS.find((name) => query.has(name));
  return clash === undefined ? null : `must not hold the response parameter ${clash}`;
}

function faultOfWeb({ scheme, authority, rest }: Parts): string | null {
  if (authority === '') return 'must name a host';
  const host = hostOf(authority);
  if (!hasGoodPort(authority)) return 'must not hold an odd port';
  if (rest !== '' && !rest.startsWith('/') && !rest.startsWith('?')) return 'must be a valid URI';
  if (scheme === 'http') return LOOPBACK_HOST.test(host) ? null : 'must use https off this machine';
  return faultOfHost(host);
}

function faultOfHost(host: string): string | null {
  if (host.startsWith('[')) {
    const address = host.slice(1, -1);
    return host.endsWith(']') && isIP(address) === 6 && !address.includes('%')
      ? null
      : 'must hold a valid IPv6 address';
  }
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(name) || name.includes('..'))
    return 'must hold a plain host name';
  // `0x7f.1`, `2130706433` and `017700000001` are addresses to some parsers and names to others.
  const last = name.split('.').at(-1)!;
  const looksNumeric = /^(0x[0-9a-f]*|\d+)$/i.test(last);
  return looksNumeric && isIP(host) !== 4 ? 'must not hold a non-canonical IPv4 address' : null;
}

function faultOfNative({ authority, rest }: Parts): string | null {
  if (authority === '' && (rest === '' || rest === '/')) return 'must name more than a scheme';
  if (authority !== '' && !/^[A-Za-z0-9._~-]+(:\d{1,5})?$/.test(authority)) return 'must hold a plain authority';
  return null;
}

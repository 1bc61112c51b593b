import { faultOfRedirectUri, kindOfRedirectUri, placeOfRedirectUri, schemeOf } from './redirect-uri.js';

/** Ways in which a client may prove itself at `/token`; basic and post count as one. */
export const AUTH_METHODS = ['none', 'private_key_jwt', 'client_secret_basic', 'client_secret_post'] as const;
export type AuthMethod = (typeof AUTH_METHODS)[number];

/** Signature algorithms of client assertions. */
export const ASSERTION_ALGORITHMS = ['ES256', 'RS256', 'EdDSA', 'Ed25519'] as const;

const MAX_REDIRECTS = 20;
const MAX_NAME = 200;
const MAX_URL = 2048;

/** Client metadata (RFC 7591 §2) after everything foreign was dropped: what is stored, shown and given to the engine. */
export interface ClientMetadata {
  readonly client_name: string;
  readonly redirect_uris: readonly string[];
  readonly grant_types: readonly string[];
  readonly response_types: readonly ['code'];
  readonly token_endpoint_auth_method: AuthMethod;
  readonly application_type: 'web' | 'native';
  readonly token_endpoint_auth_signing_alg?: string;
  readonly jwks?: { readonly keys: readonly Record<string, unknown>[] };
  readonly jwks_uri?: string;
  readonly client_uri?: string;
  readonly logo_uri?: string;
  readonly policy_uri?: string;
  readonly tos_uri?: string;
  readonly software_id?: string;
  readonly software_version?: string;
  readonly dpop_bound_access_tokens?: true;
  readonly require_pushed_authorization_requests?: true;
}

/** Why metadata cannot be accepted (RFC 7591 §3.2.2). */
export interface MetadataFault {
  readonly error: 'invalid_redirect_uri' | 'invalid_client_metadata';
  readonly description: string;
}

/**
 * Reads what a client says of itself. Real clients send untidy bodies: unknown members, foreign grant types, nulls, empty strings and a `scope` are
 * dropped, never refused (real-clients R1, R2). Refused is what is dangerous: hostile redirect URIs, private keys, keys that are missing.
 */
export function readClientMetadata(input: unknown): ClientMetadata | MetadataFault {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return invalid('the body must be a JSON object');
  const body = input as Record<string, unknown>;
  const redirects = readRedirects(body['redirect_uris']);
  if ('error' in redirects) return redirects;
  const method = readMethod(body['token_endpoint_auth_method']);
  const keys = method === 'private_key_jwt' ? readKeys(body) : {};
  if ('error' in keys) return keys;
  const grants = strings(body['grant_types']).filter((type) => ['authorization_code', 'refresh_token'].includes(type));
  return {
    client_name: cleanName(body['client_name']) ?? placeOfRedirectUri(redirects.uris[0]!),
    redirect_uris: redirects.uris,
    grant_types: grants.includes('authorization_code') ? [...new Set(grants)] : ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: method,
    application_type: applicationType(redirects.uris),
    ...keys,
    ...urlMember(body, 'client_uri'),
    ...urlMember(body, 'logo_uri'),
    ...urlMember(body, 'policy_uri'),
    ...urlMember(body, 'tos_uri'),
    ...textMember(body, 'software_id'),
    ...textMember(body, 'software_version'),
    ...(body['dpop_bound_access_tokens'] === true ? { dpop_bound_access_tokens: true } : {}),
    ...(body['require_pushed_authorization_requests'] === true ? { require_pushed_authorization_requests: true } : {}),
  };
}

/** Is this what `readClientMetadata` refused? */
export function isFault(read: ClientMetadata | MetadataFault): read is MetadataFault {
  return 'error' in read;
}

/**
 * What is wrong with a client ID metadata document beyond its metadata (draft-ietf-oauth-client-id-metadata-document): null when nothing is.
 * It must name itself, and it is public, so it can hold no secret (security.md 25).
 */
export function faultOfDocument(url: string, document: unknown): string | null {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return 'is not a JSON object';
  const body = document as Record<string, unknown>;
  if (body['client_id'] !== url) return 'does not name its own address as client_id';
  if (typeof body['client_name'] !== 'string' || cleanName(body['client_name']) === null) return 'has no client_name';
  if ('client_secret' in body || 'client_secret_expires_at' in body) return 'holds a secret';
  const method = body['token_endpoint_auth_method'];
  if (typeof method === 'string' && method.startsWith('client_secret')) return 'asks for a shared secret';
  const read = readClientMetadata(body);
  return isFault(read) ? `is invalid: ${read.description}` : null;
}

/**
 * May this URL be a client_id (CIMD draft §3)? https, with a path, and nothing that two parsers read differently.
 */
export function isDocumentUrl(id: string): boolean {
  if (!id.startsWith('https://') || id.length > MAX_URL || !/^[\x21-\x7E]+$/.test(id) || /[#\\]/.test(id)) return false;
  if (!URL.canParse(id)) return false;
  const url = new URL(id);
  if (url.username || url.password || url.pathname === '/' || /^https:\/\/[^/?]*@/.test(id)) return false;
  const path = id.slice('https://'.length).split('?')[0]!;
  return !path.split('/').some((segment) => ['.', '..'].includes(segment.replace(/%2e/gi, '.')));
}

/** A name fit to be shown: no control, bidirectional or line characters, at most 200 characters; null: nothing is left. */
export function cleanName(name: unknown): string | null {
  if (typeof name !== 'string') return null;
  const clean = name
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu, '')
    .replace(/\s+/g, ' ')
    .trim();
  return clean === '' ? null : Array.from(clean).slice(0, MAX_NAME).join('');
}

function readRedirects(value: unknown): { readonly uris: readonly string[] } | MetadataFault {
  if (!Array.isArray(value) || value.length === 0) return redirectFault('redirect_uris must be a non-empty array');
  if (value.length > MAX_REDIRECTS)
    return redirectFault(`redirect_uris must not hold more than ${MAX_REDIRECTS} entries`);
  for (const [index, uri] of (value as unknown[]).entries()) {
    const fault = faultOfRedirectUri(uri);
    if (fault !== null) return redirectFault(`redirect_uris[${index}] ${fault}`);
  }
  return { uris: [...new Set(value as string[])] };
}

function readMethod(value: unknown): AuthMethod {
  const known = AUTH_METHODS.find((method) => method === value);
  if (known) return known;
  return typeof value === 'string' && value.startsWith('client_secret') ? 'client_secret_basic' : 'none';
}

function readKeys(
  body: Record<string, unknown>,
): Pick<ClientMetadata, 'jwks' | 'jwks_uri' | 'token_endpoint_auth_signing_alg'> | MetadataFault {
  const alg = body['token_endpoint_auth_signing_alg'];
  const signing = ASSERTION_ALGORITHMS.find((known) => known === alg);
  const chosen = signing ? { token_endpoint_auth_signing_alg: signing } : {};
  const jwks = body['jwks'];
  if (typeof jwks === 'object' && jwks !== null) {
    const keys: unknown = (jwks as { keys?: unknown }).keys;
    if (!Array.isArray(keys) || keys.length === 0 || keys.length > 20) return invalid('jwks must hold one to 20 keys');
    if (!keys.every(isPublicKey)) return invalid('jwks must hold public keys only');
    return { ...chosen, jwks: { keys } };
  }
  const uri = httpsUrl(body['jwks_uri']);
  return uri === null ? invalid('private_key_jwt needs jwks, or a jwks_uri with https') : { ...chosen, jwks_uri: uri };
}

function isPublicKey(key: unknown): key is Record<string, unknown> {
  if (typeof key !== 'object' || key === null) return false;
  const jwk = key as Record<string, unknown>;
  return (
    typeof jwk['kty'] === 'string' &&
    jwk['kty'] !== 'oct' &&
    !['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'priv'].some((member) => member in jwk)
  );
}

/** The engine takes private-use schemes and loopback http from `native` clients only, and https on loopback from `web` ones only. */
function applicationType(uris: readonly string[]): 'web' | 'native' {
  const hasLoopbackHttps = uris.some(
    (uri) => schemeOf(uri) === 'https' && /^(localhost|127\.0\.0\.1|\[::1\])$/i.test(placeOfRedirectUri(uri)),
  );
  const native = uris.some((uri) => kindOfRedirectUri(uri) === 'native');
  return native || (!hasLoopbackHttps && uris.some((uri) => kindOfRedirectUri(uri) === 'loopback')) ? 'native' : 'web';
}

function urlMember<Name extends 'client_uri' | 'logo_uri' | 'policy_uri' | 'tos_uri'>(
  body: Record<string, unknown>,
  name: Name,
): { [K in Name]?: string } {
  const url = httpsUrl(body[name]);
  return url === null ? {} : ({ [name]: url } as { [K in Name]: string });
}

function textMember<Name extends 'software_id' | 'software_version'>(
  body: Record<string, unknown>,
  name: Name,
): { [K in Name]?: string } {
  const text = cleanName(body[name]);
  return text === null ? {} : ({ [name]: text } as { [K in Name]: string });
}

/** null: not an https URL; such display URLs are dropped, and none is ever fetched (security.md 22). */
function httpsUrl(value: unknown): string | null {
  if (
    typeof value !== 'string' ||
    value.length > MAX_URL ||
    !/^https:\/\/[\x21-\x7E]+$/.test(value) ||
    !URL.canParse(value)
  )
    return null;
  const url = new URL(value);
  return url.username || url.password ? null : value;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

function invalid(description: string): MetadataFault {
  return { error: 'invalid_client_metadata', description };
}

function redirectFault(description: string): MetadataFault {
  return { error: 'invalid_redirect_uri', description };
}

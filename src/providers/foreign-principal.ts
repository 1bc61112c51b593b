import { createHash } from 'node:crypto';
import type { Principal } from './contract.js';
import { quirkOf } from './quirks.js';
import { asObject, asText } from './upstream-json.js';

/** Seconds by which a foreign token may have ended. */
export const EXPIRY_LEEWAY = 30;
/** Seconds by which a foreign issuer's clock may be ahead: `nbf`, `iat`. */
export const CLOCK_LEEWAY = 60;

/** What a Principal is made of beside the claims. */
export interface ForeignToken {
  /** Id of the verifier. */
  readonly via: string;
  readonly token: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Epoch seconds after which the verifier is asked again. */
  readonly recheckAt: number;
}

/** Are `exp`, `nbf` and `iat` fit for now? Absent ones are; numbers only (RFC 7519 §4.1). `now`: epoch seconds. */
export function isTimely(claims: Readonly<Record<string, unknown>>, now: number): boolean {
  const { exp, nbf, iat } = claims;
  if ([exp, nbf, iat].some((time) => time !== undefined && !(typeof time === 'number' && Number.isFinite(time))))
    return false;
  return (
    (exp === undefined || (exp as number) + EXPIRY_LEEWAY > now) &&
    (nbf === undefined || (nbf as number) - CLOCK_LEEWAY <= now) &&
    (iat === undefined || (iat as number) - CLOCK_LEEWAY <= now)
  );
}

/** Whom a verified foreign token speaks for; null when it is bound to a client certificate, which nobody here can check (RFC 8705 §3). */
export function foreignPrincipal({ via, token, claims, recheckAt }: ForeignToken): Principal | null {
  const binding = asObject(claims['cnf']);
  if (binding && binding['jkt'] === undefined) return null;
  const client = asText(claims['client_id']) ?? asText(claims['azp']) ?? asText(claims['cid']);
  // RFC 7662 §2.2 obliges nobody to name a subject; the token itself is then the only stable thing.
  const subject = asText(claims['sub']) ?? client ?? createHash('sha256').update(token).digest('hex').slice(0, 32);
  const expiresAt = typeof claims['exp'] === 'number' ? Math.floor(claims['exp']) : null;
  return {
    key: [via, asText(claims['iss']) ?? '', subject].join(':'),
    user: null,
    subject,
    client: client ?? subject,
    scopes: scopesOf(claims),
    roles: [],
    via,
    expiresAt,
    recheckAt: expiresAt === null ? recheckAt : Math.min(expiresAt, recheckAt),
    ...(binding ? { jkt: String(binding['jkt']) } : {}),
  };
}

/** Scopes of a foreign token: `scope` (RFC 9068, a string) or `scp` (Entra a string, Okta a list); lists of either name. */
export function scopesOf(claims: Readonly<Record<string, unknown>>): string[] {
  const said = claims['scope'] ?? claims['scp'];
  const names: unknown[] = Array.isArray(said) ? said : typeof said === 'string' ? said.split(' ') : [];
  return [...new Set(names.filter((name): name is string => typeof name === 'string' && name !== ''))];
}

/** Is one of `wanted` among the audiences, written as a string or a list (RFC 7519 §4.1.3)? */
export function isForUs(aud: unknown, wanted: readonly string[]): boolean {
  const audiences: unknown[] = Array.isArray(aud) ? aud : [aud];
  return audiences.some((audience) => typeof audience === 'string' && wanted.includes(audience));
}

/** Why a token is refused, for the log: `name` is the same for each token with this fault. */
export interface TokenFault {
  readonly name: string;
  readonly line: string;
}

/** @param iss as the token has it  @param wanted issuers */
export function refusedIssuer(id: string, iss: unknown, wanted: readonly string[]): TokenFault {
  return {
    name: 'issuer',
    line: `${id}: a token of the issuer ${shown(iss)} was refused; wanted is ${wanted.join(' or ')}`,
  };
}

/** Names the cure for the issuer that made the token. @param wanted audiences */
export function refusedAudience(
  id: string,
  { aud, iss }: Readonly<Record<string, unknown>>,
  wanted: readonly string[],
): TokenFault {
  const cure = quirkOf(asText(iss) ?? '').audience;
  return {
    name: 'audience',
    line: `${id}: a token for the audience ${shown(aud)} was refused; wanted is ${wanted.join(' or ')}. ${cure}`,
  };
}

function shown(claim: unknown): string {
  return claim === undefined ? '(none)' : JSON.stringify(claim).slice(0, 200);
}

import { errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose';
import type { Principal } from './contract.js';
import { CLOCK_LEEWAY, foreignPrincipal, isForUs, isTimely } from './foreign-principal.js';
import { quirkOf } from './quirks.js';

/** Signature algorithms with a public key; HS* only ever with a secret, so that a public key can never be taken for one. */
export const ASYMMETRIC = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** Types of JWTs that are no access tokens even if issuer and audience fit (RFC 8725 §3.11). */
const OTHER_TYPES = new Set([
  'dpop+jwt',
  'logout+jwt',
  'secevent+jwt',
  'oauth-authz-req+jwt',
  'token-introspection+jwt',
  'id_token+jwt',
  'refresh+jwt',
]);

/** Seconds after which a JWT is looked at again although it has not ended: its key may be withdrawn. */
const RECHECK = 60;
/** Seconds between two log lines for the same reason. */
const SAY_AGAIN = 60;

/** What a JWT must fit. */
export interface JwtRules {
  readonly id: string;
  readonly key: JWTVerifyGetKey;
  readonly algorithms: readonly string[];
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly log: { warn(message: string): void };
}

/** Verifies access tokens of a foreign issuer that are JWTs (RFC 9068, RFC 8725). */
export class ForeignJwts {
  #saidAt = -Infinity;

  constructor(private readonly rules: JwtRules) {}

  /** @returns null: not valid here  @throws UpstreamUnavailable the keys cannot be had */
  async verify(token: string): Promise<Principal | null> {
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return null;
    const claims = await this.#claims(token);
    if (!claims || !this.#isAcceptable(claims)) return null;
    const now = Math.floor(Date.now() / 1000);
    return foreignPrincipal({ via: this.rules.id, token, claims, recheckAt: now + RECHECK });
  }

  /** The claims of a token with a good signature; null otherwise. */
  async #claims(token: string): Promise<JWTPayload | null> {
    const options: JWTVerifyOptions = {
      algorithms: [...this.rules.algorithms],
      requiredClaims: ['exp', 'iss', 'aud'],
      // Times are checked below, with a leeway of their own for each claim.
      clockTolerance: CLOCK_LEEWAY,
    };
    try {
      const { payload, protectedHeader } = await this.#verified(token, options);
      const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, '');
      return type !== undefined && OTHER_TYPES.has(type) ? null : payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }

  /** Issuers without `kid` publish several keys that might fit: each is tried. */
  async #verified(token: string, options: JWTVerifyOptions): ReturnType<typeof jwtVerify> {
    try {
      return await jwtVerify(token, this.rules.key, options);
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error) {
        try {
          return await jwtVerify(token, key, options);
        } catch (one) {
          if (!(one instanceof errors.JWSSignatureVerificationFailed)) throw one;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  }

  #isAcceptable(claims: JWTPayload): boolean {
    const { issuers, audiences, id } = this.rules;
    if (!isTimely(claims, Date.now() / 1000)) return false;
    if (typeof claims.iss !== 'string' || !issuers.includes(claims.iss)) {
      this.#say(
        `${id}: a token of the issuer ${JSON.stringify(claims.iss)} was refused; wanted is ${issuers.join(' or ')}`,
      );
      return false;
    }
    if (isForUs(claims.aud, audiences)) return true;
    this.#say(
      `${id}: a token for the audience ${JSON.stringify(claims.aud)} was refused; wanted is ${audiences.join(' or ')}. ${quirkOf(claims.iss).audience}`,
    );
    return false;
  }

  /** Only tokens with a good signature come here, so strangers cannot fill the log; a misconfigured client could. */
  #say(message: string): void {
    const now = performance.now() / 1000;
    if (now - this.#saidAt < SAY_AGAIN) return;
    this.#saidAt = now;
    this.rules.log.warn(message.slice(0, 600));
  }
}

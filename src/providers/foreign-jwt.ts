import { decodeJwt, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose';
import type { Principal, ProviderHouse } from './contract.js';
import {
  CLOCK_LEEWAY,
  foreignPrincipal,
  isForUs,
  isTimely,
  refusedAudience,
  refusedIssuer,
  type TokenFault,
} from './foreign-principal.js';
import { SeldomLog } from './seldom-log.js';

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

/** What a JWT must fit. */
export interface JwtRules {
  readonly id: string;
  readonly keys: {
    readonly find: JWTVerifyGetKey;
    /** For tokens that will be refused in any case: asks nobody because of an unknown key. */
    readonly findKnown: JWTVerifyGetKey;
  };
  readonly algorithms: readonly string[];
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly house: Pick<ProviderHouse, 'log' | 'now'>;
}

/** Verifies access tokens of a foreign issuer that are JWTs (RFC 9068, RFC 8725). */
export class ForeignJwts {
  readonly #log: SeldomLog;

  constructor(private readonly rules: JwtRules) {
    const { log, now } = rules.house;
    this.#log = new SeldomLog((line) => log.warn(line), now);
  }

  /** @returns null: not valid here  @throws UpstreamUnavailable the keys cannot be had */
  async verify(token: string): Promise<Principal | null> {
    if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return null;
    const claims = await this.#claims(token);
    if (!claims) return null;
    const fault = this.#faultOf(claims);
    if (fault) {
      // Only tokens with a good signature come here: the line tells of a misconfiguration, and of no stranger.
      if (fault !== 'time') this.#log.say(fault.name, fault.line);
      return null;
    }
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
      // An unverified claim can only do harm to its own token: what is too old or not for us causes no fetch and is undecided never.
      const { find, findKnown } = this.rules.keys;
      const key = this.#faultOf(decodeJwt(token)) ? findKnown : find;
      const { payload, protectedHeader } = await this.#verified(token, key, options);
      const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, '');
      return type !== undefined && OTHER_TYPES.has(type) ? null : payload;
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw error;
    }
  }

  /** Issuers without `kid` publish several keys that might fit: each is tried. */
  async #verified(token: string, find: JWTVerifyGetKey, options: JWTVerifyOptions): ReturnType<typeof jwtVerify> {
    try {
      return await jwtVerify(token, find, options);
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

  /** Why the claims do not fit; null: they do. */
  #faultOf(claims: JWTPayload): TokenFault | 'time' | null {
    const { issuers, audiences, id } = this.rules;
    if (!isTimely(claims, Date.now() / 1000)) return 'time';
    if (typeof claims.iss !== 'string' || !issuers.includes(claims.iss)) return refusedIssuer(id, claims.iss, issuers);
    return isForUs(claims.aud, audiences) ? null : refusedAudience(id, claims, audiences);
  }
}

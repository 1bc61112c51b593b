import { Injectable, Logger } from '@nestjs/common';
import { Settings } from '../config/settings.js';
import { DatabaseUnavailable } from '../persistence/faults.js';
import { bearerChallenge, parseAuthorization, type ChallengeFacts } from '../protocol/bearer.js';
import { UpstreamUnavailable, type Principal } from '../providers/contract.js';
import { ScopeCatalogue } from './scope-catalogue.js';
import { Usage } from './usage.js';
import { VerifiedTokens } from './verified-tokens.js';

/** The parts of a request that decide who calls. */
export interface Asker {
  readonly authorization: string | undefined;
  /** The `DPoP` header (RFC 9449 §4). */
  readonly dpop?: string | string[] | undefined;
  readonly method: string;
  /** Which resource is asked for: the base of `htu` of a DPoP proof. */
  readonly url: string;
}

/** A request that goes no further: 401, 403 or 503 with these headers. */
export interface Refusal {
  readonly status: 401 | 403 | 503;
  readonly headers: Readonly<Record<string, string>>;
  /** RFC 6750 error code, or what else was wrong; for the body. */
  readonly error: string;
  readonly description: string;
}

/** Either who calls, or why not. */
export type Decision = { readonly principal: Principal } | { readonly refusal: Refusal };

/** Checks a DPoP proof (RFC 9449 §4.3); set by the room that implements it. @returns null: good; otherwise what is wrong */
export type ProofCheck = (proof: {
  header: string | string[] | undefined;
  token: string;
  jkt: string;
  method: string;
  url: string;
}) => Promise<string | null>;

/** Who is calling `/mcp`, and may they reach it at all. */
@Injectable()
export class Access {
  readonly #log = new Logger('Access');
  #proofCheck: ProofCheck | null = null;

  constructor(
    private readonly settings: Settings,
    private readonly tokens: VerifiedTokens,
    private readonly scopes: ScopeCatalogue,
    private readonly usage: Usage,
  ) {}

  /** Enables sender-constrained tokens. */
  useProofCheck(check: ProofCheck): void {
    this.#proofCheck = check;
  }

  /** Decides in the order of security.md 37; throws only for bugs. */
  async decide(asker: Asker): Promise<Decision> {
    if (asker.authorization === undefined) return { refusal: this.unauthenticated() };
    const credentials = parseAuthorization(asker.authorization);
    if (!credentials || !['bearer', 'dpop'].includes(credentials.scheme))
      return { refusal: this.#invalid('the Authorization header must be: Bearer <token>') };
    try {
      const principal = await this.tokens.find(credentials.value);
      if (!principal) return { refusal: this.#invalid('the token is unknown, expired or revoked') };
      const fault = await this.faultOfBinding(principal, credentials, asker);
      if (fault !== null) return { refusal: this.#invalid(fault) };
      const missing = this.scopes.missing(principal.scopes, this.settings.values.requiredScopes);
      if (missing.length > 0)
        return { refusal: this.insufficientScope(principal, this.settings.values.requiredScopes) };
      this.usage.note(principal);
      return { principal };
    } catch (error) {
      if (error instanceof UpstreamUnavailable || error instanceof DatabaseUnavailable)
        return { refusal: this.#undecided(error) };
      throw error;
    }
  }

  /** 401 without `error`: no credentials came. */
  unauthenticated(): Refusal {
    return this.#challenge(
      401,
      { scopes: this.settings.values.requiredScopes },
      'unauthorized',
      'a bearer token is required',
    );
  }

  /** 403 whose scope is granted ∪ needed: SDK v1 replaces its scopes by the challenge (RS-13). */
  insufficientScope(principal: Principal, needed: readonly string[]): Refusal {
    const scopes = [...new Set([...principal.scopes, ...needed])];
    return this.#challenge(
      403,
      { error: 'insufficient_scope', scopes },
      'insufficient_scope',
      `the token lacks: ${this.scopes.missing(principal.scopes, needed).join(' ')}`,
    );
  }

  /** What is wrong with how a token is presented: a bound one wants its proof (RFC 9449 §7); null: nothing. */
  async faultOfBinding(
    principal: Principal,
    { scheme, value }: { scheme: string; value: string },
    asker: Asker,
  ): Promise<string | null> {
    if (principal.jkt === undefined)
      return scheme === 'bearer' ? null : 'the token is not bound to a key: send it as Bearer';
    if (scheme !== 'dpop') return 'the token is bound to a key: send it as DPoP, with a proof (RFC 9449)';
    if (!this.#proofCheck) return 'DPoP is not available here';
    return this.#proofCheck({
      header: asker.dpop,
      token: value,
      jkt: principal.jkt,
      method: asker.method,
      url: asker.url,
    });
  }

  #invalid(description: string): Refusal {
    return this.#challenge(
      401,
      { error: 'invalid_token', description, scopes: this.settings.values.requiredScopes },
      'invalid_token',
      description,
    );
  }

  #challenge(
    status: 401 | 403,
    facts: Omit<ChallengeFacts, 'resourceMetadata'>,
    error: string,
    description: string,
  ): Refusal {
    const resourceMetadata = this.settings.discovery
      ? `${this.settings.publicUrl}/.well-known/oauth-protected-resource${this.settings.values.mcpPath}`
      : null;
    return {
      status,
      headers: { 'www-authenticate': bearerChallenge({ ...facts, resourceMetadata }) },
      error,
      description,
    };
  }

  #undecided(error: UpstreamUnavailable | DatabaseUnavailable): Refusal {
    if (!('isQuiet' in error && error.isQuiet)) this.#log.warn(`a token could not be checked: ${error.message}`);
    return {
      status: 503,
      headers: { 'retry-after': String(error.retryAfter) },
      error: 'temporarily_unavailable',
      description: 'the token could not be checked now; try again',
    };
  }
}

import { Injectable } from '@nestjs/common';
import { UpstreamUnavailable, type Principal, type TokenVerifier } from '../providers/contract.js';

/** Every way in which a bearer token may be accepted, in the order they are asked. */
@Injectable()
export class Verifiers {
  readonly #own: { verifier: TokenVerifier; prefix: string }[] = [];
  readonly #foreign: TokenVerifier[] = [];

  /** Tokens that begin with this prefix are ours: they go to this verifier and to no other. */
  addOwn(prefix: string, verifier: TokenVerifier): void {
    this.#own.push({ verifier, prefix });
  }

  /** Asked, in the order added, for tokens that are not ours. */
  add(verifier: TokenVerifier): void {
    this.#foreign.push(verifier);
  }

  /** The enabled foreign verifiers, in order. */
  get foreign(): readonly TokenVerifier[] {
    return this.#foreign;
  }

  /**
   * The first verifier's yes; null when all said no.
   * @throws UpstreamUnavailable when none accepted and at least one could not decide  @throws DatabaseUnavailable
   */
  async verify(token: string): Promise<Principal | null> {
    const own = this.#own.filter(({ prefix }) => token.startsWith(prefix));
    if (own.length > 0 || token.startsWith('gth_'))
      return this.#ask(
        own.map(({ verifier }) => verifier),
        token,
      );
    return this.#ask(this.#foreign, token);
  }

  async #ask(verifiers: readonly TokenVerifier[], token: string): Promise<Principal | null> {
    let undecided: UpstreamUnavailable | null = null;
    for (const verifier of verifiers) {
      try {
        const principal = await verifier.verify(token);
        if (principal) return principal;
      } catch (error) {
        if (!(error instanceof UpstreamUnavailable)) throw error;
        undecided ??= error;
      }
    }
    if (undecided) throw undecided;
    return null;
  }
}

import { Injectable, Logger } from '@nestjs/common';
import { DatabaseUnavailable } from '../persistence/faults.js';
import { UpstreamUnavailable, type Principal, type TokenVerifier } from '../providers/contract.js';

/** Milliseconds between two log lines about the same verifier. */
const SAY_AGAIN_MS = 60_000;

/** Every way in which a bearer token may be accepted, in the order they are asked. */
@Injectable()
export class Verifiers {
  readonly #own: { verifier: TokenVerifier; prefix: string }[] = [];
  readonly #foreign: TokenVerifier[] = [];
  readonly #log = new Logger('Verifiers');
  readonly #saidAt = new Map<string, number>();

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
   * The first verifier's yes; null when all said no. A verifier that cannot decide, or fails, keeps no other from being asked.
   * @throws UpstreamUnavailable, DatabaseUnavailable when none accepted and at least one could not decide
   * @throws Error of a verifier with a bug, when none accepted and none was undecided
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
    const undecided: unknown[] = [];
    const faults: unknown[] = [];
    for (const verifier of verifiers) {
      try {
        const principal = await verifier.verify(token);
        if (principal) return principal;
      } catch (error) {
        if (error instanceof UpstreamUnavailable || error instanceof DatabaseUnavailable) undecided.push(error);
        else {
          this.#report(verifier, error);
          faults.push(error);
        }
      }
    }
    // An undecided one may accept it later: that is worth another try, a bug is not.
    for (const error of [...undecided, ...faults]) throw error;
    return null;
  }

  /** The token may have caused it, so a stranger must not fill the log with it. */
  #report({ id }: TokenVerifier, error: unknown): void {
    const now = performance.now();
    if (now - (this.#saidAt.get(id) ?? -Infinity) < SAY_AGAIN_MS) return;
    this.#saidAt.set(id, now);
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error(`the verifier ${id} failed over a token, the others are asked: ${what}`);
  }
}

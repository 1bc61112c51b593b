import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { sha256 } from '../protocol/token.js';
import type { Principal } from '../providers/contract.js';
import type { RevocationKind } from './revocation.entity.js';
import { Verifiers } from './verifiers.js';

const REMEMBERED_TOKENS = 100_000;
const REFUSED_TOKENS = 10_000;
/** A refused token is refused again for this long without asking anybody; short, since it may be one that is just being made. */
const REFUSAL_MS = 2000;

/** Principals were cut off: streams they hold must end. `concerns` also tells those that the cache no longer remembered. */
export type ForgottenListener = (
  forgotten: ReadonlySet<Principal>,
  concerns: (principal: Principal) => boolean,
) => void;

/** Who a token belongs to, asked of the verifiers once and remembered under the token's SHA-256. */
@Injectable()
export class VerifiedTokens {
  readonly #known = new LRUCache<string, Principal>({ max: REMEMBERED_TOKENS });
  readonly #refused = new LRUCache<string, true>({ max: REFUSED_TOKENS, ttl: REFUSAL_MS });
  readonly #asking = new Map<string, Promise<Principal | null>>();
  readonly #listeners = new Set<ForgottenListener>();
  /** Counts revocations: an answer that was on its way during one is not remembered. */
  #generation = 0;
  #bypassed = false;

  constructor(private readonly verifiers: Verifiers) {}

  /**
   * null: no verifier accepts it.
   * @throws UpstreamUnavailable, DatabaseUnavailable when it could not be decided
   */
  async find(token: string): Promise<Principal | null> {
    const hash = sha256(token);
    const known = this.#bypassed ? undefined : this.#known.get(hash);
    const now = Date.now() / 1000;
    if (known && isFresh(known, now)) return known;
    if (this.#refused.has(hash)) return null;
    let asking = this.#asking.get(hash);
    if (!asking) {
      asking = this.#ask(hash, token).finally(() => this.#asking.delete(hash));
      this.#asking.set(hash, asking);
    }
    return asking;
  }

  /** Drops what a revocation concerns. O(cache): revocations are rare, calls are not. */
  forget(kind: RevocationKind, id: string): void {
    this.#generation++;
    const forgotten = new Set<Principal>();
    for (const [hash, principal] of this.#known.entries()) {
      if (!concerns(principal, kind, id)) continue;
      forgotten.add(principal);
      this.#known.delete(hash);
    }
    this.#asking.clear();
    // A Client that was unblocked: its tokens count again at the next request, not when their refusal is forgotten.
    if (kind === 'client') this.#refused.clear();
    if (kind === 'widened') return;
    for (const listener of this.#listeners) listener(forgotten, (principal) => concerns(principal, kind, id));
  }

  /** Drops everything that a verifier accepted: its keys or its list changed. */
  forgetVerifier(id: string): void {
    this.#generation++;
    const forgotten = new Set<Principal>();
    for (const [hash, principal] of this.#known.entries()) {
      if (principal.via !== id) continue;
      forgotten.add(principal);
      this.#known.delete(hash);
    }
    this.#refused.clear();
    this.#asking.clear();
    for (const listener of this.#listeners) listener(forgotten, (principal) => principal.via === id);
  }

  /** Called with the Principals of each revocation; the set may be empty when none was remembered here. */
  onForgotten(listener: ForgottenListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** While revocations of other nodes cannot be heard, every token is verified anew. */
  bypass(on: boolean): void {
    this.#bypassed = on;
  }

  async #ask(hash: string, token: string): Promise<Principal | null> {
    const generation = this.#generation;
    const principal = await this.verifiers.verify(token);
    if (!principal) {
      if (generation === this.#generation) this.#refused.set(hash, true);
      return null;
    }
    if (principal.expiresAt !== null && principal.expiresAt <= Date.now() / 1000 - LEEWAY) return null;
    const frozen = Object.freeze(principal);
    if (generation === this.#generation) this.#known.set(hash, frozen);
    return frozen;
  }
}

/** Verifiers apply their own leeway to `exp`; the cache must not cut it short. */
const LEEWAY = 30;

function isFresh({ expiresAt, recheckAt }: Principal, now: number): boolean {
  return (expiresAt === null || now < expiresAt) && (recheckAt === undefined || now < recheckAt);
}

function concerns(principal: Principal, kind: RevocationKind, id: string): boolean {
  switch (kind) {
    case 'token':
      return principal.tokenId === id;
    case 'grant':
    case 'widened':
      return principal.grantId === id;
    case 'user':
      return principal.user?.id === id;
    case 'client':
      return principal.client === id && principal.grantId !== undefined;
  }
}

import { createLocalJWKSet, errors, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import type { Outbound } from '../outbound/outbound.js';
import { UpstreamUnavailable } from './contract.js';
import { askJson, asObject } from './upstream-json.js';

/** Seconds after which keys are asked for again in the background, so that withdrawn ones go. */
const REFRESH_AFTER = 600;
/** Seconds after which the answer is waited for: nobody used the keys for a while. */
const WAIT_AFTER = 1200;
/** Seconds between two fetches caused by unknown keys, or after a failure. */
const COOL_DOWN = 30;

type LocalSet = ReturnType<typeof createLocalJWKSet>;

/**
 * The keys of a foreign issuer. An unknown `kid` causes one fetch in 30 s however many tokens bring one; known keys go on serving while the issuer is
 * out of reach, for as long as that lasts.
 */
export class KeySet {
  #keys: LocalSet | undefined;
  #fetchedAt = -Infinity;
  /** When an unknown `kid` last caused a fetch. */
  #soughtAt = -Infinity;
  /** -Infinity: the last fetch went well. */
  #failedAt = -Infinity;
  #failure: unknown;
  #fetching: Promise<LocalSet> | undefined;

  /** @param now seconds on a monotonic clock */
  constructor(
    private readonly url: URL,
    private readonly outbound: Outbound,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {}

  /**
   * The key for a token's header, as `jwtVerify` asks for it.
   * @throws JWKSNoMatchingKey no such key  @throws UpstreamUnavailable it may exist, but the issuer cannot be asked
   */
  readonly find = async (header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<LocalSet> => {
    const keys = await this.#current();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const renewed = await this.#seek();
      if (!renewed) throw error;
      return renewed(header, token);
    }
  };

  async #current(): Promise<LocalSet> {
    const age = this.now() - this.#fetchedAt;
    if (this.#keys && (age < REFRESH_AFTER || this.now() - this.#failedAt < COOL_DOWN)) return this.#keys;
    if (!this.#keys || age > WAIT_AFTER) return this.#fetch().catch((error: unknown) => this.#orKnown(error));
    this.#fetch().catch(() => {});
    return this.#keys;
  }

  /** Fetches for an unknown `kid`; null: keys are recent enough that it does not exist. */
  async #seek(): Promise<LocalSet | null> {
    if (this.#fetching) return this.#fetching;
    if (this.now() - this.#soughtAt >= COOL_DOWN) {
      this.#soughtAt = this.now();
      return this.#fetch();
    }
    // The issuer did not answer lately: whether this key exists is not known, and a 401 would sign people out.
    if (this.#failedAt !== -Infinity) throw this.#failure;
    return null;
  }

  #fetch(): Promise<LocalSet> {
    this.#fetching ??= this.#ask().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #ask(): Promise<LocalSet> {
    try {
      const { status, body } = await askJson(this.outbound, this.url, {
        headers: { accept: 'application/jwk-set+json, application/json' },
      });
      const keys = asObject(body)?.['keys'];
      if (status !== 200 || !Array.isArray(keys))
        throw new UpstreamUnavailable(`${this.url.host}${this.url.pathname} answered ${status} and no key set`);
      // One malformed key must not cost the others.
      this.#keys = createLocalJWKSet({ keys: keys.filter((key) => typeof asObject(key)?.['kty'] === 'string') });
      this.#fetchedAt = this.now();
      this.#failedAt = -Infinity;
      return this.#keys;
    } catch (error) {
      this.#failedAt = this.now();
      this.#failure = error;
      throw error;
    }
  }

  #orKnown(error: unknown): LocalSet {
    if (this.#keys) return this.#keys;
    throw error;
  }
}

import { createLocalJWKSet, errors, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose';
import { LRUCache } from 'lru-cache';
import { sha256 } from '../protocol/token.js';
import { type ProviderHouse, UpstreamUnavailable } from './contract.js';
import { PacedAsk } from './paced-ask.js';
import { usableKeys } from './public-keys.js';
import { askJson, asObject } from './upstream-json.js';

/** Seconds after which keys are asked for again in the background, so that withdrawn ones go. */
const REFRESH_AFTER = 600;
/** Seconds after which the answer is waited for: nobody used the keys for a while. */
const WAIT_AFTER = 1200;
/** Seconds between two fetches caused by unknown keys. */
const COOL_DOWN = 30;
/** Unknown keys whose first appearance is remembered. */
const REMEMBERED = 10_000;
/** Milliseconds for an answer that only an administrator waits for. */
const PROBE_MS = 3000;

type LocalSet = ReturnType<typeof createLocalJWKSet>;

/**
 * The keys of a foreign issuer. An unknown `kid` causes one fetch in 30 s however many tokens bring one; known keys go on serving while the issuer is
 * out of reach, for as long as that lasts.
 */
export class KeySet {
  #keys: LocalSet | undefined;
  #answeredAt = -Infinity;
  /** When an unknown `kid` last caused a fetch. */
  #soughtAt = -Infinity;
  readonly #missedSince = new LRUCache<string, number>({ max: REMEMBERED });
  readonly #reading: PacedAsk<LocalSet>;
  #refused: readonly string[] = [];

  constructor(
    private readonly id: string,
    private readonly url: URL,
    private readonly house: Pick<ProviderHouse, 'outbound' | 'log' | 'now'>,
  ) {
    this.#reading = new PacedAsk(() => this.#read(), {
      failed: () =>
        `${id}: the keys at ${url.href} cannot be had, ${this.#keys ? 'those known go on serving' : 'its tokens cannot be checked'}`,
      log: house.log,
      now: house.now,
    });
  }

  /**
   * The key for a token's header, as `jwtVerify` asks for it.
   * @throws JWKSNoMatchingKey no such key  @throws UpstreamUnavailable it may exist, but the issuer cannot be asked now
   */
  readonly find = async (header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<LocalSet> => {
    const seenAt = this.house.now();
    const keys = await this.#current();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const name = sha256(`${header.alg} ${header.kid ?? ''}`);
      const since = this.#missedSince.get(name) ?? seenAt;
      this.#missedSince.set(name, since);
      const renewed = await this.#seek(since);
      if (!renewed) throw error;
      return renewed(header, token);
    }
  };

  /** The same for a token that will be refused whoever signed it: an unknown `kid` fetches nothing, an issuer out of reach is no reason to try again. */
  readonly findKnown = async (header: JWSHeaderParameters, token: FlattenedJWSInput): ReturnType<LocalSet> => {
    const keys = await this.#current().catch((error: unknown) => {
      throw error instanceof UpstreamUnavailable ? new errors.JWKSNoMatchingKey() : error;
    });
    return keys(header, token);
  };

  /** Fetches the keys before the first token comes, and goes on trying: a dead issuer is told of at the start. */
  open(): void {
    this.#reading.keepAsking();
  }

  close(): void {
    this.#reading.stop();
  }

  /** @throws UpstreamUnavailable the issuer does not publish keys now */
  async probe(): Promise<void> {
    await this.#ask(PROBE_MS);
  }

  async #current(): Promise<LocalSet> {
    const age = this.house.now() - this.#answeredAt;
    if (this.#keys && age < REFRESH_AFTER) return this.#keys;
    const renewal = this.#reading.ask();
    if (!this.#keys) return renewal;
    const known = this.#keys;
    // A failure stands in the log already, and known keys serve on.
    const renewed = renewal.catch(() => known);
    return age > WAIT_AFTER && !this.#reading.isFailing ? renewed : known;
  }

  /**
   * Fetches for an unknown key. null: the keys were fetched after it first appeared, so it does not exist.
   * @throws UpstreamUnavailable the issuer cannot be asked now: a 401 would sign people out whose issuer has just rotated its keys
   */
  async #seek(since: number): Promise<LocalSet | null> {
    if (this.#reading.isAsking || this.#reading.wait > 0) return this.#reading.ask();
    const left = this.#soughtAt + COOL_DOWN - this.house.now();
    if (left <= 0) {
      this.#soughtAt = this.house.now();
      return this.#reading.ask();
    }
    if (since < this.#answeredAt) return null;
    throw new UpstreamUnavailable(
      `${this.id}: an unknown key; ${this.url.host} was asked for another one less than ${COOL_DOWN} s ago`,
      Math.ceil(left),
      { isQuiet: true },
    );
  }

  async #read(): Promise<LocalSet> {
    const { usable, refused } = await usableKeys(await this.#ask());
    for (const line of refused.filter((line) => !this.#refused.includes(line)))
      this.house.log.warn(`${this.id}: ${line} (${this.url.href})`);
    this.#refused = refused;
    this.#keys = createLocalJWKSet({ keys: usable });
    this.#answeredAt = this.house.now();
    return this.#keys;
  }

  async #ask(timeoutMs?: number): Promise<unknown[]> {
    const { status, body } = await askJson(this.house.outbound, this.url, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    const keys: unknown = asObject(body)?.['keys'];
    if (status !== 200 || !Array.isArray(keys))
      throw new UpstreamUnavailable(`${this.url.host}${this.url.pathname} answered ${status} and no key set`);
    return keys;
  }
}

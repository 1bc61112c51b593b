import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { DuplicateRow, CommitConflict } from '../persistence/faults.js';
import { expecting } from '../persistence/statement.js';
import { Seals } from '../persistence/seals.js';
import { SigningKeyRow } from './signing-key.entity.js';

const PURPOSE = 'signing-key';
const ALG = 'ES256';
/** A new key is published this many seconds before it signs, so that every node and every cache knows it. */
export const ANNOUNCED_SECONDS = 120;
/** An old key is published this many seconds after its successor signs: longer than any ID token lives. */
export const KEPT_SECONDS = 86_400;

/** Who rotates, and from where; for the Event. */
interface RotatedBy {
  readonly actor: string;
  readonly ip?: string;
  readonly reference?: string;
}

/** A key as administrators see it. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly createdAt: number;
  readonly signsFrom: number;
  /** null: no successor yet. */
  readonly expiresAt: number | null;
}

/** Keys that sign ID tokens: in the database, sealed, the same on every node, rotated with overlap. */
@Injectable()
export class SigningKeys {
  readonly #listeners = new Set<() => Promise<void>>();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Seals) private readonly seals: Seals,
    @Inject(Events) private readonly events: Events,
  ) {}

  /** Called after a rotation on this node, so that the new key is published before `rotate` answers; other nodes look by themselves. */
  onRotated(listener: () => Promise<void>): void {
    this.#listeners.add(listener);
  }

  /** Private keys to publish now, the one that signs first; makes the first one when there is none. */
  async current(): Promise<JWK[]> {
    const rows = await this.#live();
    if (!rows.some(({ slot }) => slot === 'newest')) {
      await this.#add(null, now());
      return this.current();
    }
    const time = now();
    const signing = rows.filter(({ signsFrom }) => signsFrom <= time).toSorted((a, b) => b.signsFrom - a.signsFrom)[0];
    const ordered = signing ? [signing, ...rows.filter((row) => row !== signing)] : rows;
    return ordered.map(({ sealed }) => JSON.parse(this.seals.open(sealed, PURPOSE)) as JWK);
  }

  /** Published keys without their private part, newest first. */
  async all(): Promise<SigningKey[]> {
    const rows = await this.#live();
    return rows
      .toSorted((a, b) => Number(b.slot === 'newest') - Number(a.slot === 'newest') || b.signsFrom - a.signsFrom)
      .map(({ kid, alg, createdAt, signsFrom, expiresAt }) => ({ kid, alg, createdAt, signsFrom, expiresAt }));
  }

  /**
   * A new key: published at once, signing after `ANNOUNCED_SECONDS`; the old one stays published for a day after that.
   * @returns the new key; of two rotations at once both get the same
   */
  async rotate(by: RotatedBy): Promise<SigningKey> {
    const newest = (await this.#live()).find(({ slot }) => slot === 'newest');
    await this.#add(newest ?? null, newest ? now() + ANNOUNCED_SECONDS : now(), by);
    for (const listener of this.#listeners) await listener();
    return (await this.all())[0]!;
  }

  async #live(): Promise<SigningKeyRow[]> {
    const time = now();
    const rows = await this.database.repository(SigningKeyRow).find();
    return rows.filter(({ expiresAt }) => expiresAt === null || expiresAt > time);
  }

  async #add(before: SigningKeyRow | null, signsFrom: number, by: RotatedBy = { actor: 'system' }): Promise<void> {
    const kid = randomBytes(9).toString('base64url');
    const { privateKey } = await generateKeyPair(ALG, { extractable: true });
    const jwk = { ...(await exportJWK(privateKey)), kid, alg: ALG, use: 'sig' };
    const retire = before && [
      expecting(
        1,
        this.database.update(
          SigningKeyRow,
          { slot: null, expiresAt: signsFrom + KEPT_SECONDS },
          { kid: before.kid, slot: 'newest' },
        ),
      ),
    ];
    const row = { kid, alg: ALG, slot: 'newest' as const, sealed: this.seals.seal(JSON.stringify(jwk), PURPOSE) };
    try {
      await this.database.commit([
        ...(retire ?? []),
        this.database.insert(SigningKeyRow, { ...row, createdAt: now(), signsFrom, expiresAt: null }),
        this.events.record({ type: 'key.created', ...by, detail: { kid } }),
      ]);
    } catch (error) {
      // Another node added its key a moment ago: that one is used.
      if (!(error instanceof DuplicateRow) && !(error instanceof CommitConflict)) throw error;
    }
  }
}

const now = (): number => Math.floor(Date.now() / 1000);

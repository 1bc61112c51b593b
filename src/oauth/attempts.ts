import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import { Seals } from '../persistence/seals.js';
import { sha256 } from '../protocol/token.js';
import type { Identity, IdentityKey, UpstreamTokens } from '../providers/contract.js';
import { AttemptRow } from './attempt.entity.js';

/** Seconds from the button to the end of the walk. */
export const ATTEMPT_SECONDS = 600;

/** An upstream leg that has not ended after this many seconds never will: its process died. */
const FINISH_SECONDS = 30;

/** A try at a provider, as it was begun. */
export interface Attempt {
  readonly provider: string;
  /** The provider's own notes: PKCE verifier, nonce. */
  readonly memo: Readonly<Record<string, string>>;
  /** The Interaction's uid, or the account page's id. */
  readonly subject: string;
  /** null: the account page. */
  readonly clientId: string | null;
  /** Scopes that the person approved on the page; empty for the account page. */
  readonly scopes: readonly string[];
  /** Permissions asked of the provider for tools, beyond those of its settings. */
  readonly upstreamScopes: readonly string[];
  /** How the walk ended before it was begun once more for further permissions: it stands when this one brings nothing. */
  readonly before?: Outcome | undefined;
  /** Path to go on at after the upstream leg. */
  readonly continueAt: string;
  /** The User to whom the account page wants to add the identity: it is only proved then, and nobody is signed in. */
  readonly linkTo?: string | undefined;
  /** Back to the buttons. */
  readonly againAt: string;
  /** The reference id under which pages and the log know this sign-in. */
  readonly reference: string;
  /** The person wants another account than the one they have used. */
  readonly chooseAccount?: boolean | undefined;
}

/** How the upstream leg ended. */
export type Outcome =
  | {
      readonly kind: 'signed-in';
      readonly userId: string;
      readonly identity: IdentityKey;
      /** Kept with the Grant once there is one; sealed on the way. */
      readonly tokens: UpstreamTokens;
    }
  /** For `linkTo`: the identity is proved, and nobody was signed in. */
  | { readonly kind: 'proved'; readonly identity: Identity; readonly tokens: UpstreamTokens }
  /** Somebody proved who they are, and no rule admits them. */
  | { readonly kind: 'not-admitted'; readonly account: string; readonly reason: string; readonly provider: string }
  /** The person or the upstream said no. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The upstream could not be asked, or said what nobody could read. */
  | { readonly kind: 'unavailable' }
  /** A bug of ours; its cause is in the log. */
  | { readonly kind: 'failed' };

/** An outcome with what was approved before it. */
export interface Finished {
  /** Names the try in a commit that must happen once. */
  readonly key: string;
  readonly attempt: Attempt;
  readonly outcome: Outcome;
}

interface TakenRow {
  state_hash: string;
  sealed: string;
  outcome: string | null;
  taken_at: number | string;
}

/** Tries at providers: each state is taken once, each outcome read by the browser that began the try. */
@Injectable()
export class Attempts {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Seals) private readonly seals: Seals,
  ) {}

  /** Keeps a try whose provider has been asked where to go; ended tries of this browser are forgotten. `state` and `binding` are stored as hashes only. */
  async open(attempt: Attempt, secrets: { state: string; binding: string }): Promise<void> {
    await this.database.commit([
      sql`DELETE FROM oauth_attempt WHERE subject_hash = ${sha256(attempt.subject)} AND binding_hash = ${sha256(secrets.binding)} AND outcome IS NOT NULL`,
      this.database.insert(AttemptRow, {
        stateHash: sha256(secrets.state),
        subjectHash: sha256(attempt.subject),
        bindingHash: sha256(secrets.binding),
        provider: attempt.provider,
        clientId: attempt.clientId,
        sealed: this.seals.seal(JSON.stringify(attempt), 'attempt'),
        expiresAt: now() + ATTEMPT_SECONDS,
      }),
    ]);
  }

  /** What this state belongs to, without taking it; null: unknown, over, or taken before. */
  async find(state: string): Promise<Attempt | null> {
    const row = await this.database.repository(AttemptRow).findOneBy({ stateHash: sha256(state) });
    return row && row.takenAt === null && row.expiresAt > now() ? this.#read(row) : null;
  }

  /** Takes the state: true for exactly one caller, and only with the cookie that binds the try to its browser. */
  async take(state: string, binding: string): Promise<boolean> {
    try {
      await this.database.commit([
        expecting(
          1,
          sql`UPDATE oauth_attempt SET taken_at = ${now()} WHERE state_hash = ${sha256(state)} AND binding_hash = ${sha256(binding)} AND taken_at IS NULL AND expires_at > ${now()}`,
        ),
      ]);
      return true;
    } catch (error) {
      if (error instanceof CommitConflict) return false;
      throw error;
    }
  }

  /** Notes how the upstream leg of a taken try ended. */
  async close(state: string, outcome: Outcome): Promise<void> {
    const sealed = this.seals.seal(JSON.stringify(outcome), 'attempt-outcome');
    await this.database.commit([this.database.update(AttemptRow, { outcome: sealed }, { stateHash: sha256(state) })]);
  }

  /** The newest ended try of this browser for this subject; `pending`: one is still being finished; null: none, or another browser's. */
  async finished(subject: string, binding: string): Promise<Finished | 'pending' | null> {
    const taken = await this.database.rows<TakenRow>(
      sql`SELECT state_hash, sealed, outcome, taken_at FROM oauth_attempt
        WHERE subject_hash = ${sha256(subject)} AND binding_hash = ${sha256(binding)} AND taken_at IS NOT NULL AND expires_at > ${now()}
        ORDER BY taken_at DESC`,
    );
    const ended = taken.find(({ outcome }) => outcome !== null);
    const [newest] = taken;
    if (!ended?.outcome) {
      if (!newest) return null;
      if (Number(newest.taken_at) > now() - FINISH_SECONDS) return 'pending';
      return { key: newest.state_hash, attempt: this.#read(newest), outcome: { kind: 'failed' } };
    }
    const outcome = JSON.parse(this.seals.open(ended.outcome, 'attempt-outcome')) as Outcome;
    return { key: ended.state_hash, attempt: this.#read(ended), outcome };
  }

  /** Was this state taken by this browser a moment ago? Then a reload of the callback goes on instead of failing. */
  async takenBy(state: string, binding: (subject: string) => string | null): Promise<Attempt | null> {
    const row = await this.database.repository(AttemptRow).findOneBy({ stateHash: sha256(state) });
    if (!row || row.takenAt === null || row.expiresAt <= now()) return null;
    const attempt = this.#read(row);
    const held = binding(attempt.subject);
    return held !== null && sha256(held) === row.bindingHash ? attempt : null;
  }

  /** A statement that ends a finished try, for exactly one of the commits that contain it. */
  use(finished: Pick<Finished, 'key'>): Statement {
    return expecting(1, sql`DELETE FROM oauth_attempt WHERE state_hash = ${finished.key} AND outcome IS NOT NULL`);
  }

  /** All tries for this subject are over. */
  async forget(subject: string): Promise<void> {
    await this.database.commit([this.database.remove(AttemptRow, { subjectHash: sha256(subject) })]);
  }

  /** For the purge job: tries that nobody came back from. */
  purge(): Statement {
    return sql`DELETE FROM oauth_attempt WHERE expires_at < ${now() - 60}`;
  }

  #read(row: Pick<AttemptRow, 'sealed'>): Attempt {
    return {
      upstreamScopes: [],
      ...(JSON.parse(this.seals.open(row.sealed, 'attempt')) as Partial<Attempt>),
    } as Attempt;
  }
}

/** 256 random bits, base64url: states and cookies. */
export function randomValue(): string {
  return randomBytes(32).toString('base64url');
}

const now = (): number => Math.floor(Date.now() / 1000);

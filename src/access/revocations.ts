import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { Notifications } from '../persistence/notifications.js';
import { RevocationRow, type RevocationKind } from './revocation.entity.js';
import { VerifiedTokens } from './verified-tokens.js';

const POLL_MS = 1000;
const CHANNEL = 'gatehouse_revocation';
/** After this long without a successful poll the cache is bypassed. */
const DEAF_MS = 3000;
/** Ids of the log can commit out of order: each poll looks this far back. */
const WINDOW = 1000;
/** Kept long enough for every node to have polled it many times. */
const KEPT_SECONDS = 3600;

/** A revocation to commit: what is cut off. */
export interface Revocation {
  readonly kind: RevocationKind;
  readonly id: string;
}

/** Who ends what is kept of a person, and why; for Events. */
export interface EndedBy {
  /** A User id, `admin-token` or `system`. */
  readonly actor: string;
  /** `user-blocked`, `user-erased`, … */
  readonly reason: string;
  readonly ip?: string | undefined;
  /** Of the request that ended it, in the log. */
  readonly reference?: string | undefined;
}

/** What a room keeps of a person: the statements that end it, or leave nothing of it, together with the person's block or erasure. */
export interface PersonalHolding {
  /** Ends every token, sign-in and connection; nothing of it comes back when the person is let in again. */
  cutOff(userId: string, by: EndedBy): readonly Statement[];
  /** Deletes all of it, secrets and personal data included. */
  erase(userId: string, by: EndedBy): readonly Statement[];
}

/**
 * The one way to cut something off. The tombstones and a line of the append-only log commit together; then the cache entries of this node go at
 * once. Other nodes hear of the line by Postgres NOTIFY, within milliseconds; should that be lost, and between processes on one SQLite file, they
 * find it by polling each second.
 */
@Injectable()
export class Revocations implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('Revocations');
  #timer: NodeJS.Timeout | undefined;
  #seen = new Set<number>();
  #highest = 0;
  #heardAt = performance.now();
  readonly #holdings: PersonalHolding[] = [];

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(VerifiedTokens) private readonly tokens: VerifiedTokens,
    @Inject(Notifications) private readonly notifications: Notifications,
  ) {}

  /**
   * Commits `statements` (tombstones and Events) together with the log, then drops cache entries.
   * @throws whatever `commit` throws; nothing is cut off then
   */
  async revoke(revocations: readonly Revocation[], statements: readonly Statement[]): Promise<number[]> {
    const affected = await this.database.commit([
      ...statements,
      ...revocations.map((revocation) => this.record(revocation)),
    ]);
    this.announce(revocations);
    return affected.slice(0, statements.length);
  }

  /** A room that keeps something of people says so, once. */
  hold(holding: PersonalHolding): void {
    this.#holdings.push(holding);
  }

  /** Statements that end what the rooms keep of a person; for the commit that blocks them. */
  cutOff(userId: string, by: EndedBy): Statement[] {
    return this.#holdings.flatMap((holding) => holding.cutOff(userId, by));
  }

  /** Statements that delete what the rooms keep of a person; for the commit that erases them. */
  erase(userId: string, by: EndedBy): Statement[] {
    return this.#holdings.flatMap((holding) => holding.erase(userId, by));
  }

  /** The line of the log, for a commit that the caller makes itself; call `announce` after it. */
  record({ kind, id }: Revocation): Statement {
    const at = Math.floor(Date.now() / 1000);
    return this.database.dialect === 'postgres'
      ? sql`WITH line AS (INSERT INTO revocation_log (at, kind, target) VALUES (${at}, ${kind}, ${id}) RETURNING id) SELECT pg_notify(${CHANNEL}, line.id::text) FROM line`
      : this.database.insert(RevocationRow, { at, kind, target: id });
  }

  /** Drops the cache entries of this node, after the commit. */
  announce(revocations: readonly Revocation[]): void {
    for (const { kind, id } of revocations) this.tokens.forget(kind, id);
  }

  async onModuleInit(): Promise<void> {
    const newest = await this.database.row<{ id: number | null }>(sql`SELECT MAX(id) AS id FROM revocation_log`);
    this.#highest = newest?.id ?? 0;
    for (const { id } of await this.#window()) this.#seen.add(id);
    this.#heardAt = performance.now();
    await this.notifications.listen(CHANNEL, () => this.#pollAtOnce());
    this.#schedule();
  }

  onApplicationShutdown(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One look at the log; public so that tests need not wait for the timer. */
  async poll(): Promise<void> {
    const rows = await this.#window();
    for (const { id, kind, target } of rows) {
      if (this.#seen.has(id)) continue;
      this.#seen.add(id);
      this.#highest = Math.max(this.#highest, id);
      this.tokens.forget(kind, target);
    }
    for (const id of this.#seen) if (id <= this.#highest - WINDOW) this.#seen.delete(id);
    this.#heardAt = performance.now();
    this.tokens.bypass(false);
  }

  /** Deletes lines that every node has read; called by the purge. */
  purge(): Statement {
    return sql`DELETE FROM revocation_log WHERE at < ${Math.floor(Date.now() / 1000) - KEPT_SECONDS}`;
  }

  async #window(): Promise<{ id: number; kind: RevocationKind; target: string }[]> {
    return this.database.rows(
      sql`SELECT id, kind, target FROM revocation_log WHERE id > ${this.#highest - WINDOW} ORDER BY id`,
    );
  }

  #pollAtOnce(): void {
    this.poll().catch((error: unknown) => this.#log.warn(`a notified revocation cannot be read yet: ${String(error)}`));
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.poll()
        .catch((error: unknown) => {
          if (performance.now() - this.#heardAt < DEAF_MS) return;
          this.tokens.bypass(true);
          this.#log.warn(`the revocation log cannot be read, so every token is verified anew: ${String(error)}`);
        })
        .finally(() => this.#timer && this.#schedule());
    }, POLL_MS);
    this.#timer.unref();
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import { Seals } from '../persistence/seals.js';
import type { IdentityKey, UpstreamTokens } from '../providers/contract.js';
import { UpstreamTokenRow } from './upstream-token.entity.js';

/** Seconds for which one node may refresh: longer than discovery and exchange at their time-outs. */
const LEASE_SECONDS = 30;

/** One of a person's accounts, as it must be theirs when its tokens are asked for. */
export interface HeldIdentity extends IdentityKey {
  readonly userId: string;
}

/** Tokens as they are kept. */
export interface KeptTokens extends UpstreamTokens {
  /** A tool found the access token refused: it is renewed before anybody uses it again. */
  readonly refused?: true | undefined;
  /** SHA-256 of the refused access token that these were got for; refused too, they are dead. Undefined: they replace none, or one that had its time. */
  readonly renewalOf?: string | undefined;
}

/** Upstream tokens at rest: sealed, one row for each account at a provider, those of its newest sign-in. */
@Injectable()
export class UpstreamTokenVault {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Seals) private readonly seals: Seals,
  ) {}

  /** Statements that keep what a sign-in brought; none when it brought nothing that could be used. `grantId` null: the account page. */
  keep(login: HeldIdentity & { grantId: string | null; tokens: UpstreamTokens }): Statement[] {
    const { provider, subject, userId, grantId, tokens } = login;
    if (tokens.accessToken === '') return [];
    return [
      sql`INSERT INTO upstream_token (provider, subject, user_id, grant_id, sealed, version, expires_at, lease_until, lease_holder, updated_at)
      VALUES (${provider}, ${subject}, ${userId}, ${grantId}, ${this.#seal(tokens)}, ${1}, ${tokens.expiresAt ?? null}, ${null}, ${null}, ${now()})
      ON CONFLICT (provider, subject) DO UPDATE SET user_id = excluded.user_id, grant_id = excluded.grant_id, sealed = excluded.sealed,
        version = upstream_token.version + 1, expires_at = excluded.expires_at, lease_until = excluded.lease_until,
        lease_holder = excluded.lease_holder, updated_at = excluded.updated_at`,
    ];
  }

  /** A statement that deletes what is kept of an account. */
  forget({ provider, subject }: IdentityKey): Statement {
    return this.database.remove(UpstreamTokenRow, { provider, subject });
  }

  /** null: nothing is kept of this account of this person. */
  async find({ userId, provider, subject }: HeldIdentity): Promise<UpstreamTokenRow | null> {
    return this.database.repository(UpstreamTokenRow).findOneBy({ userId, provider, subject });
  }

  /** Everything kept of a person. */
  async ofUser(userId: string): Promise<UpstreamTokenRow[]> {
    return this.database.repository(UpstreamTokenRow).findBy({ userId });
  }

  /** Of the person's accounts at a provider of which tokens are kept, the one most recently signed in with; null: none. */
  async latestIdentity(userId: string, provider: string): Promise<HeldIdentity | null> {
    const row = await this.database.row<{ subject: string }>(
      sql`SELECT t.subject FROM upstream_token t JOIN identity i ON i.provider = t.provider AND i.subject = t.subject
        WHERE t.user_id = ${userId} AND t.provider = ${provider} ORDER BY i.last_used_at DESC, i.created_at DESC LIMIT 1`,
    );
    return row && { userId, provider, subject: row.subject };
  }

  /** The tokens of a row; null: the upstream said that they are dead. @throws SealBroken */
  open({ sealed }: UpstreamTokenRow): KeptTokens | null {
    return sealed === null ? null : (JSON.parse(this.seals.open(sealed, 'upstream-token')) as KeptTokens);
  }

  /** True: `holder` may refresh these tokens. The database's clock decides, since nodes' clocks differ by more than a lease. */
  async lease({ provider, subject, version }: UpstreamTokenRow, holder: string): Promise<boolean> {
    const statement =
      this.database.dialect === 'sqlite'
        ? sql`UPDATE upstream_token SET lease_until = unixepoch() + ${LEASE_SECONDS}, lease_holder = ${holder}
          WHERE provider = ${provider} AND subject = ${subject} AND version = ${version}
            AND (lease_until IS NULL OR lease_until < unixepoch())`
        : sql`UPDATE upstream_token SET lease_until = CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT) + ${LEASE_SECONDS}, lease_holder = ${holder}
          WHERE provider = ${provider} AND subject = ${subject} AND version = ${version}
            AND (lease_until IS NULL OR lease_until < CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT))`;
    return this.#unlessReplaced([expecting(1, statement)]);
  }

  /** Gives a lease back without having refreshed. */
  async release({ provider, subject }: IdentityKey, holder: string): Promise<void> {
    await this.database.commit([
      sql`UPDATE upstream_token SET lease_until = ${null}, lease_holder = ${null}
      WHERE provider = ${provider} AND subject = ${subject} AND lease_holder = ${holder}`,
    ]);
  }

  /** Puts new tokens in the place of exactly these; false: newer ones are there already. */
  async replace({ provider, subject, version }: UpstreamTokenRow, tokens: KeptTokens): Promise<boolean> {
    return this.#unlessReplaced([
      expecting(
        1,
        sql`UPDATE upstream_token SET sealed = ${this.#seal(tokens)}, version = version + 1, expires_at = ${tokens.expiresAt ?? null},
          lease_until = ${null}, lease_holder = ${null}, updated_at = ${now()}
        WHERE provider = ${provider} AND subject = ${subject} AND version = ${version}`,
      ),
    ]);
  }

  /** Takes exactly these tokens for refused, so that the next call refreshes them; one that is under way brings newer ones and is not disturbed. */
  async end(row: UpstreamTokenRow, tokens: KeptTokens): Promise<void> {
    const ended = this.#seal({ ...tokens, expiresAt: 0, refused: true });
    await this.database.commit([
      sql`UPDATE upstream_token SET sealed = ${ended}, version = version + 1, expires_at = ${0}
      WHERE provider = ${row.provider} AND subject = ${row.subject} AND version = ${row.version} AND lease_holder IS NULL`,
    ]);
  }

  /** Takes exactly these tokens for dead, with `event`; nothing when newer ones are there: the upstream was not asked about those. */
  async bury({ provider, subject, version }: UpstreamTokenRow, event: Statement): Promise<void> {
    await this.#unlessReplaced([
      expecting(
        1,
        sql`UPDATE upstream_token SET sealed = ${null}, version = version + 1, lease_until = ${null}, lease_holder = ${null}, updated_at = ${now()}
        WHERE provider = ${provider} AND subject = ${subject} AND version = ${version}`,
      ),
      event,
    ]);
  }

  /** false: the first statement found its row changed, and nothing was written. Any other failure is one: it must not read as "held". */
  async #unlessReplaced(statements: readonly Statement[]): Promise<boolean> {
    try {
      await this.database.commit(statements);
      return true;
    } catch (error) {
      if (error instanceof CommitConflict) return false;
      throw error;
    }
  }

  #seal(tokens: KeptTokens): string {
    return this.seals.seal(JSON.stringify(tokens), 'upstream-token');
  }
}

const now = (): number => Math.floor(Date.now() / 1000);

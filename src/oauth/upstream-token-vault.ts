import { Inject, Injectable } from '@nestjs/common';
import { sql, type Statement } from '../persistence/statement.js';
import { Seals } from '../persistence/seals.js';
import type { UpstreamTokens } from '../providers/contract.js';

/** Upstream tokens at rest: sealed, one row for each person and provider, the newest sign-in's. */
@Injectable()
export class UpstreamTokenVault {
  constructor(@Inject(Seals) private readonly seals: Seals) {}

  /** Statements that keep what a sign-in brought; none when it brought nothing that could be used. `grantId` null: the account page. */
  keep(login: { userId: string; provider: string; grantId: string | null; tokens: UpstreamTokens }): Statement[] {
    const { userId, provider, grantId, tokens } = login;
    if (tokens.accessToken === '') return [];
    const expiresAt = tokens.expiresAt ?? null;
    return [
      sql`INSERT INTO upstream_token (user_id, provider, grant_id, sealed, expires_at, lease_until, lease_holder, updated_at)
      VALUES (${userId}, ${provider}, ${grantId}, ${this.seal(tokens)}, ${expiresAt}, ${null}, ${null}, ${Math.floor(Date.now() / 1000)})
      ON CONFLICT (user_id, provider) DO UPDATE SET grant_id = excluded.grant_id, sealed = excluded.sealed, expires_at = excluded.expires_at,
        lease_until = excluded.lease_until, lease_holder = excluded.lease_holder, updated_at = excluded.updated_at`,
    ];
  }

  /** A statement that deletes what is kept of this person and provider. */
  forget(userId: string, provider: string): Statement {
    return sql`DELETE FROM upstream_token WHERE user_id = ${userId} AND provider = ${provider}`;
  }

  /** The envelope of a row. */
  seal(tokens: UpstreamTokens): string {
    return this.seals.seal(JSON.stringify(tokens), 'upstream-token');
  }

  /** @throws SealBroken */
  open(sealed: string): UpstreamTokens {
    return JSON.parse(this.seals.open(sealed, 'upstream-token')) as UpstreamTokens;
  }
}

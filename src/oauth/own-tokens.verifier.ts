import { Inject, Injectable } from '@nestjs/common';
import { Settings } from '../config/settings.js';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { scopesOfToken } from '../protocol/scope.js';
import { isWellFormed, sha256 } from '../protocol/token.js';
import type { Principal, TokenVerifier } from '../providers/contract.js';

interface Row {
  payload: string;
  expires_at: number | string;
  grant_id: string;
  provider: string | null;
  subject: string | null;
  widened: string | null;
  user_id: string;
  name: string | null;
  email: string | null;
  roles: string;
  allowed_scopes: string | null;
}

/** Of a token's payload. */
interface TokenFacts {
  readonly aud?: unknown;
  readonly scope?: string;
  readonly left_out?: string;
  readonly clientId: string;
  readonly jkt?: string;
}

/** Verifies the access tokens that we issued: one prepared statement, which also sees to it that Grant, User and Client are in good standing. */
@Injectable()
export class OwnTokens implements TokenVerifier {
  readonly id = 'gatehouse';

  constructor(
    @Inject(Settings) private readonly settings: Settings,
    @Inject(Database) private readonly database: Database,
  ) {}

  /** For `/mcp`. @throws DatabaseUnavailable */
  async verify(token: string): Promise<Principal | null> {
    return this.verifyFor(this.settings.mcpUrl, token);
  }

  /** For the resource that the token must have been made for (RFC 8707 §2). @throws DatabaseUnavailable */
  async verifyFor(resource: string, token: string): Promise<Principal | null> {
    if (!token.startsWith('gth_at_') || !isWellFormed(token)) return null;
    const hash = sha256(token);
    const row = await this.database.row<Row>(
      sql`SELECT t.payload, t.expires_at, g.id AS grant_id, g.provider, g.subject, g.widened, u.id AS user_id, u.name, u.email, u.roles, c.allowed_scopes
        FROM oauth_token t
        JOIN oauth_grant g ON g.id = t.grant_id AND g.revoked_at IS NULL
        JOIN gatehouse_user u ON u.id = g.user_id AND u.status = ${'active'}
        JOIN oauth_client c ON c.id = g.client_id AND c.status = ${'active'}
        WHERE t.id_hash = ${hash} AND t.kind = ${'AccessToken'}`,
    );
    if (!row || Number(row.expires_at) <= Date.now() / 1000) return null;
    const facts = JSON.parse(row.payload) as TokenFacts;
    if (facts.aud !== resource) return null;
    return {
      key: `user:${row.user_id}`,
      user: { id: row.user_id, name: row.name ?? undefined, email: row.email ?? undefined },
      subject: row.user_id,
      client: facts.clientId,
      scopes: scopesOfToken({
        scope: facts.scope,
        widened: row.widened,
        leftOut: facts.left_out,
        limit: row.allowed_scopes === null ? null : (JSON.parse(row.allowed_scopes) as string[]),
      }),
      roles: JSON.parse(row.roles) as string[],
      via: row.provider ?? this.id,
      identity:
        row.provider === null || row.subject === null ? undefined : { provider: row.provider, subject: row.subject },
      expiresAt: Number(row.expires_at),
      grantId: row.grant_id,
      tokenId: hash,
      jkt: facts.jkt,
    };
  }
}

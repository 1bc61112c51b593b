import { Injectable } from '@nestjs/common';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { timeId } from '../protocol/time-id.js';
import { isWellFormed, mintToken, sha256 } from '../protocol/token.js';
import type { Principal, TokenVerifier } from '../providers/contract.js';
import { PersonalTokenRow } from './personal-token.entity.js';
import { Revocations } from './revocations.js';

/** What a new personal token is to be. */
export interface NewPersonalToken {
  readonly name: string;
  /** null: of this installation, not of a person. */
  readonly userId: string | null;
  readonly scopes: readonly string[];
  /** Epoch seconds; null: never. */
  readonly expiresAt: number | null;
  /** Who makes it, for the Event: a User id, `admin-token`, `system`. */
  readonly actor: string;
  readonly ip?: string | undefined;
  /** Of the request, in the log. */
  readonly reference?: string | undefined;
}

/** `via` of a Principal that came by a personal token. */
export const PERSONAL_TOKEN = 'personal-token';

/** Seconds after which the owner of a personal token is looked up again. */
const OWNER_RECHECK_SECONDS = 900;

/** The person a token belongs to. */
export interface TokenOwner {
  readonly user: NonNullable<Principal['user']>;
  readonly roles: readonly string[];
}

interface FoundToken {
  id: string;
  user_id: string | null;
  scopes: string;
  expires_at: number | null;
  revoked_at: number | null;
  name: string;
}

/** Personal tokens: made by hand, shown once, kept as SHA-256. Also the verifier of what begins with `gth_pat_`. */
@Injectable()
export class PersonalTokens implements TokenVerifier {
  readonly id = PERSONAL_TOKEN;
  #owner: (userId: string) => Promise<TokenOwner | null> = async () => null;

  constructor(
    private readonly database: Database,
    private readonly events: Events,
    private readonly revocations: Revocations,
  ) {
    revocations.hold({
      cutOff: (userId) => [
        sql`UPDATE personal_token SET revoked_at = ${Math.floor(Date.now() / 1000)} WHERE user_id = ${userId} AND revoked_at IS NULL`,
      ],
      erase: (userId) => [this.database.remove(PersonalTokenRow, { userId })],
    });
  }

  /** How a person's tokens find their owner; null: blocked or gone. Set by the room that knows users. */
  findOwnersBy(find: (userId: string) => Promise<TokenOwner | null>): void {
    this.#owner = find;
  }

  /** @returns the row, and the token itself: the only time it can be read */
  async create(wanted: NewPersonalToken): Promise<{ row: PersonalTokenRow; token: string }> {
    const token = mintToken('gth_pat_');
    const now = Date.now();
    const row: PersonalTokenRow = {
      id: timeId(now),
      hash: sha256(token),
      hint: token.slice(0, 12),
      name: wanted.name,
      userId: wanted.userId,
      scopes: [...wanted.scopes],
      createdAt: Math.floor(now / 1000),
      expiresAt: wanted.expiresAt,
      lastUsedAt: null,
      revokedAt: null,
    };
    const event = this.events.record({
      type: 'personal-token.created',
      actor: wanted.actor,
      ip: wanted.ip,
      reference: wanted.reference,
      userId: wanted.userId,
      detail: { token: row.id, name: row.name, scopes: row.scopes },
    });
    await this.database.commit([this.database.insert(PersonalTokenRow, row), event]);
    return { row, token };
  }

  /** Live and dead ones, oldest first. */
  async all(): Promise<PersonalTokenRow[]> {
    return this.database.repository(PersonalTokenRow).find({ order: { id: 'ASC' } });
  }

  /** Of each token of a person that still works: its scopes. */
  async livingScopes(userId: string): Promise<(readonly string[])[]> {
    const rows = await this.database.repository(PersonalTokenRow).findBy({ userId });
    const now = Math.floor(Date.now() / 1000);
    return rows
      .filter(({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt === null || expiresAt > now))
      .map(({ scopes }) => scopes);
  }

  /** No token was ever made here. */
  async isEmpty(): Promise<boolean> {
    return (await this.database.row(sql`SELECT id FROM personal_token LIMIT 1`)) === null;
  }

  /** @returns false: no live token of that id */
  async revoke(id: string, by: Pick<NewPersonalToken, 'actor' | 'ip' | 'reference'>): Promise<boolean> {
    const row = await this.database.repository(PersonalTokenRow).findOneBy({ id });
    if (!row || row.revokedAt !== null) return false;
    await this.revocations.revoke(
      [{ kind: 'token', id }],
      [
        this.database.update(PersonalTokenRow, { revokedAt: Math.floor(Date.now() / 1000) }, { id }),
        this.events.record({
          type: 'personal-token.revoked',
          ...by,
          userId: row.userId,
          detail: { token: id, name: row.name },
        }),
      ],
    );
    return true;
  }

  /** What `Usage` writes for Principals that came by a personal token. */
  used(principal: Principal, at: number): Statement[] {
    if (principal.via !== this.id || principal.tokenId === undefined) return [];
    return [sql`UPDATE personal_token SET last_used_at = ${at} WHERE id = ${principal.tokenId}`];
  }

  async verify(token: string): Promise<Principal | null> {
    if (!isWellFormed(token)) return null;
    const found = await this.database.row<FoundToken>(
      sql`SELECT id, user_id, scopes, expires_at, revoked_at, name FROM personal_token WHERE hash = ${sha256(token)}`,
    );
    if (!found || found.revoked_at !== null) return null;
    if (found.expires_at !== null && found.expires_at <= Date.now() / 1000) return null;
    const owner = found.user_id === null ? null : await this.#owner(found.user_id);
    if (found.user_id !== null && owner === null) return null;
    return {
      key: owner ? `user:${owner.user.id}` : `personal-token:${found.id}`,
      user: owner?.user ?? null,
      subject: owner?.user.id ?? found.name,
      client: found.name,
      scopes: JSON.parse(found.scopes) as string[],
      roles: owner?.roles ?? [],
      via: this.id,
      expiresAt: found.expires_at,
      // A person's standing is looked at again now and then, however long their token lives.
      ...(owner ? { recheckAt: Math.floor(Date.now() / 1000) + OWNER_RECHECK_SECONDS } : {}),
      tokenId: found.id,
    };
  }
}

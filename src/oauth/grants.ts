import { Inject, Injectable } from '@nestjs/common';
import { type Revocation, Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { expecting, sql, type Statement } from '../persistence/statement.js';
import { timeId } from '../protocol/time-id.js';
import type { IdentityKey } from '../providers/contract.js';
import { Consents } from './consents.js';
import { GrantRow } from './grant.entity.js';

/** A connection ends with its last token. Until it has one, it ends so many seconds after it was made: its client has not finished the sign-in. */
const WITHOUT_TOKEN_SECONDS = 900;

/** A connection to make. */
export interface NewGrant {
  readonly userId: string;
  readonly clientId: string;
  /** The account the person signed in with; null: unknown. */
  readonly identity: IdentityKey | null;
  /** Approved scopes of the resource, and `openid` when approved. */
  readonly scopes: readonly string[];
  /** Scopes that were asked for and not approved: the engine then does not ask again. */
  readonly refused?: readonly string[];
  /** Canonical. */
  readonly resource: string;
  /** Where the Client takes the code, for lists of connections. */
  readonly redirectUri?: string | undefined;
  /** The reference id of the sign-in that makes it. */
  readonly reference: string;
  /** Address of the person's browser. */
  readonly ip: string;
  /** No page asked: the person approved the same before. */
  readonly remembered?: boolean;
}

/** Why a connection ends. */
export interface GrantEnd {
  /** Who ended it: a User id, `admin-token`, `client`, `system`. */
  readonly actor: string;
  /** For the Event: `client`, `user`, `admin`, `code-replayed`, `refresh-token-reused`, `upstream-dead`, … */
  readonly reason: string;
  readonly ip?: string | undefined;
  /** Of the request that ended it, in the log. */
  readonly reference?: string | undefined;
}

/** Connections: User × Client installation × scopes. */
@Injectable()
export class Grants {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(Events) private readonly events: Events,
    @Inject(Consents) private readonly consents: Consents,
  ) {}

  /** The Grant's id, and the statements (row and Event) that make it: commit them, alone or with more. */
  create(grant: NewGrant): { readonly id: string; readonly statements: readonly Statement[] } {
    // Sorts by time: Grants of one second are listed in the order they were made.
    const id = timeId(Date.now());
    const createdAt = now();
    const expiresAt = createdAt + WITHOUT_TOKEN_SECONDS;
    const row = this.database.insert(GrantRow, {
      id,
      userId: grant.userId,
      clientId: grant.clientId,
      provider: grant.identity?.provider ?? null,
      subject: grant.identity?.subject ?? null,
      scope: grant.scopes.join(' '),
      widened: null,
      resource: grant.resource,
      redirectUri: grant.redirectUri ?? null,
      reference: grant.reference,
      payload: enginePayload(grant, { iat: createdAt, exp: expiresAt }),
      createdAt,
      expiresAt,
      lastUsedAt: null,
      revokedAt: null,
    });
    const event = this.events.record({
      type: 'grant.created',
      actor: grant.userId,
      userId: grant.userId,
      clientId: grant.clientId,
      grantId: id,
      provider: grant.identity?.provider,
      ip: grant.ip,
      reference: grant.reference,
      detail: {
        scope: grant.scopes.join(' '),
        resource: grant.resource,
        ...(grant.remembered ? { remembered: true } : {}),
      },
    });
    return { id, statements: [row, event] };
  }

  /** A Grant that is alive; null: unknown, revoked or expired. */
  async find(id: string): Promise<GrantRow | null> {
    const row = await this.database.repository(GrantRow).findOneBy({ id });
    return row && row.revokedAt === null && row.expiresAt > now() ? row : null;
  }

  /** Living Grants of a person, newest first. */
  async ofUser(userId: string): Promise<GrantRow[]> {
    const rows = await this.database.repository(GrantRow).find({ where: { userId }, order: { createdAt: 'DESC' } });
    return rows.filter((row) => row.revokedAt === null && row.expiresAt > now());
  }

  /** The account that the newest of these Grants, alive or not, was signed in with; null: none of them is this person's, or it is not known. */
  async newestIdentity(userId: string, ids: readonly string[]): Promise<IdentityKey | null> {
    // Ids sort by time.
    for (const id of ids.toSorted().toReversed()) {
      const row = await this.database.repository(GrantRow).findOneBy({ id, userId });
      if (row) return identityOf(row);
    }
    return null;
  }

  /**
   * Ends a connection at once and everywhere: tombstone, Tokens, consent, Event and revocation log in one commit. Idempotent: the engine calls it for
   * three models in parallel. The Grant is updated before its Tokens are deleted; the other order deadlocks against `/token` on Postgres.
   * @returns false: it was not alive
   */
  async revoke(id: string, end: GrantEnd): Promise<boolean> {
    const row = await this.database.repository(GrantRow).findOneBy({ id });
    if (!row || row.revokedAt !== null) return false;
    try {
      await this.revocations.revoke([{ kind: 'grant', id }], this.#end(row, end));
      return true;
    } catch (error) {
      if (error instanceof CommitConflict && error.index === 0) return false;
      throw error;
    }
  }

  /** What ends every connection that a person made with one account, for a commit that does more; hand the revocations to `Revocations.revoke`. */
  async endingsOf(
    userId: string,
    { provider, subject }: IdentityKey,
    end: GrantEnd,
  ): Promise<{ readonly revocations: readonly Revocation[]; readonly statements: readonly Statement[] }> {
    const living = (await this.ofUser(userId)).filter((row) => row.provider === provider && row.subject === subject);
    return {
      revocations: living.map(({ id }) => ({ kind: 'grant', id })),
      statements: living.flatMap((row) => this.#end(row, end)),
    };
  }

  /** Ends all connections of a person, each with its own Event. */
  async revokeAll(userId: string, end: GrantEnd): Promise<void> {
    const living = await this.ofUser(userId);
    await Promise.all(living.map(({ id }) => this.revoke(id, end)));
  }

  #end(row: GrantRow, { actor, reason, ip, reference }: GrantEnd): Statement[] {
    return [
      expecting(1, sql`UPDATE oauth_grant SET revoked_at = ${now()} WHERE id = ${row.id} AND revoked_at IS NULL`),
      sql`DELETE FROM oauth_token WHERE grant_id = ${row.id}`,
      this.consents.forget(row.userId, row.clientId),
      this.events.record({
        type: 'grant.revoked',
        actor,
        userId: row.userId,
        clientId: row.clientId,
        grantId: row.id,
        provider: row.provider,
        ip,
        // A client that ends it, or the server itself, has none: then that of the sign-in.
        reference: reference ?? row.reference,
        detail: { reason },
      }),
    ];
  }
}

/** The account that a Grant was signed in with; null: unknown. */
export function identityOf({ provider, subject }: Pick<GrantRow, 'provider' | 'subject'>): IdentityKey | null {
  return provider === null || subject === null ? null : { provider, subject };
}

/** A Grant as the engine stores it, without `jti`. */
function enginePayload(grant: NewGrant, life: { iat: number; exp: number }): Record<string, unknown> {
  const members = (scopes: readonly string[]) => {
    const own = scopes.filter((scope) => scope !== 'openid').join(' ');
    return {
      ...(own === '' ? {} : { resources: { [grant.resource]: own } }),
      ...(scopes.includes('openid') ? { openid: { scope: 'openid' } } : {}),
    };
  };
  const refused = members(grant.refused ?? []);
  return {
    ...life,
    kind: 'Grant',
    accountId: grant.userId,
    clientId: grant.clientId,
    ...members(grant.scopes),
    ...(Object.keys(refused).length === 0 ? {} : { rejected: refused }),
  };
}

const now = (): number => Math.floor(Date.now() / 1000);

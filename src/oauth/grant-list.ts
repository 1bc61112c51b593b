import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { slice, type Key } from '../persistence/keyset.js';
import { parseScope, withinLimit } from '../protocol/scope.js';

/** Whether a Grant still opens something. `suspended`: it opens nothing while its Client is blocked or waits for approval, and everything again after. */
export type GrantStatus = 'active' | 'suspended' | 'expired' | 'revoked';

/** Which Grants; every given one must fit. */
export interface GrantFilter {
  readonly user?: string | undefined;
  readonly client?: string | undefined;
  readonly provider?: string | undefined;
  /** `living`: active or suspended. */
  readonly status?: GrantStatus | 'living' | undefined;
}

/** A Grant with the names of those it joins. Times are epoch seconds. */
export interface ListedGrant {
  readonly id: string;
  /** `name` and `email` are null, `status` is null too, when the person was erased. */
  readonly user: {
    readonly id: string;
    readonly name: string | null;
    readonly email: string | null;
    readonly status: 'active' | 'blocked' | null;
  };
  /** `name` and `status` are null when the Client was deleted. */
  readonly client: {
    readonly id: string;
    readonly name: string | null;
    readonly status: 'active' | 'pending' | 'blocked' | null;
  };
  readonly provider: string | null;
  /** Granted at sign-in, and added later at a step-up link, without what an administrator withholds from the Client now. */
  readonly scopes: readonly string[];
  readonly resource: string;
  /** Where the Client took the code; null: unknown. */
  readonly redirectUri: string | null;
  readonly status: GrantStatus;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly expiresAt: number;
  readonly revokedAt: number | null;
  /** Of the sign-in that made it; null: unknown. */
  readonly reference: string | null;
}

/** Grants as an administrator, or the person they belong to, looks through them. */
@Injectable()
export class GrantList {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Newest first; `next` is null on the last page. */
  async page(
    filter: GrantFilter,
    { after, limit }: { after: Key | null; limit: number },
  ): Promise<{ items: ListedGrant[]; next: Key | null }> {
    return this.#page(conditions(filter), after, limit);
  }

  /** null: there was never one of that id. */
  async find(id: string): Promise<ListedGrant | null> {
    return (await this.#page([sql`g.id = ${id}`], null, 1)).items[0] ?? null;
  }

  async #page(
    where: readonly Statement[],
    after: Key | null,
    limit: number,
  ): Promise<{ items: ListedGrant[]; next: Key | null }> {
    const { rows, more } = await slice<RawGrant>(this.database, {
      from: sql`SELECT g.id, g.user_id, g.client_id, g.provider, g.scope, g.widened, g.resource, g.redirect_uri, g.created_at, g.expires_at, g.last_used_at, g.revoked_at, g.reference, u.name AS user_name, u.email AS user_email, u.status AS user_status, c.name AS client_name, c.status AS client_status, c.allowed_scopes FROM oauth_grant g LEFT JOIN gatehouse_user u ON u.id = g.user_id LEFT JOIN oauth_client c ON c.id = g.client_id`,
      where,
      order: ['g.created_at', 'g.id'],
      after,
      limit,
    });
    const last = rows.at(-1);
    return { items: rows.map(grantOf), next: more && last ? [last.created_at, last.id] : null };
  }
}

interface RawGrant {
  id: string;
  user_id: string;
  client_id: string;
  provider: string | null;
  scope: string;
  widened: string | null;
  resource: string;
  redirect_uri: string | null;
  created_at: number;
  expires_at: number;
  last_used_at: number | null;
  revoked_at: number | null;
  reference: string | null;
  user_name: string | null;
  user_email: string | null;
  user_status: 'active' | 'blocked' | null;
  client_name: string | null;
  client_status: 'active' | 'pending' | 'blocked' | null;
  allowed_scopes: string | null;
}

function conditions({ user, client, provider, status }: GrantFilter): Statement[] {
  const now = Math.floor(Date.now() / 1000);
  return [
    user !== undefined && sql`g.user_id = ${user}`,
    client !== undefined && sql`g.client_id = ${client}`,
    provider !== undefined && sql`g.provider = ${provider}`,
    status === 'revoked' && sql`g.revoked_at IS NOT NULL`,
    status === 'expired' && sql`g.revoked_at IS NULL AND g.expires_at <= ${now}`,
    status === 'living' && sql`g.revoked_at IS NULL AND g.expires_at > ${now}`,
    status === 'active' && sql`g.revoked_at IS NULL AND g.expires_at > ${now} AND c.status = 'active'`,
    // By the few Clients that are not active, not through every Grant there is.
    status === 'suspended' &&
      sql`g.revoked_at IS NULL AND g.expires_at > ${now} AND g.client_id IN (SELECT id FROM oauth_client WHERE status <> 'active')`,
  ].filter((condition) => condition !== false);
}

function grantOf(raw: RawGrant): ListedGrant {
  return {
    id: raw.id,
    user: { id: raw.user_id, name: raw.user_name, email: raw.user_email, status: raw.user_status },
    client: { id: raw.client_id, name: raw.client_name, status: raw.client_status },
    provider: raw.provider,
    scopes: withinLimit(
      raw.allowed_scopes === null ? null : (JSON.parse(raw.allowed_scopes) as string[]),
      parseScope(`${raw.scope} ${raw.widened ?? ''}`),
    ),
    resource: raw.resource,
    redirectUri: raw.redirect_uri,
    status: statusOf(raw),
    createdAt: raw.created_at,
    lastUsedAt: raw.last_used_at,
    expiresAt: raw.expires_at,
    revokedAt: raw.revoked_at,
    reference: raw.reference,
  };
}

function statusOf(raw: RawGrant): GrantStatus {
  if (raw.revoked_at !== null) return 'revoked';
  if (raw.expires_at <= Date.now() / 1000) return 'expired';
  return raw.client_status === 'active' ? 'active' : 'suspended';
}

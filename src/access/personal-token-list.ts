import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { slice, type Key } from '../persistence/keyset.js';
import { PersonalTokenRow } from './personal-token.entity.js';

/** Whether a personal token still opens something. */
export type PersonalTokenStatus = 'active' | 'expired' | 'revoked';

/** Which personal tokens; every given one must fit. */
export interface PersonalTokenFilter {
  /** A User id; null: those of the installation. */
  readonly user?: string | null | undefined;
  readonly status?: PersonalTokenStatus | undefined;
  readonly name?: string | undefined;
}

/** Personal tokens as an administrator looks through them: never the token, never its hash. */
@Injectable()
export class PersonalTokenList {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Newest first; `next` is null on the last page. */
  async page(
    filter: PersonalTokenFilter,
    { after, limit }: { after: Key | null; limit: number },
  ): Promise<{ items: PersonalTokenRow[]; next: Key | null }> {
    const { rows, more } = await slice<RawToken>(this.database, {
      from: sql`SELECT id, hint, name, user_id, scopes, created_at, expires_at, last_used_at, revoked_at FROM personal_token`,
      where: conditions(filter),
      order: ['id'],
      after,
      limit,
    });
    return { items: rows.map(rowOf), next: more ? [rows.at(-1)!.id] : null };
  }

  /** null: there was never one of that id. */
  async find(id: string): Promise<PersonalTokenRow | null> {
    return this.database.repository(PersonalTokenRow).findOneBy({ id });
  }
}

interface RawToken {
  id: string;
  hint: string;
  name: string;
  user_id: string | null;
  scopes: string;
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
  revoked_at: number | null;
}

/** By the clock of this process. */
export function statusOfPersonalToken({
  revokedAt,
  expiresAt,
}: Pick<PersonalTokenRow, 'revokedAt' | 'expiresAt'>): PersonalTokenStatus {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && expiresAt <= Date.now() / 1000 ? 'expired' : 'active';
}

function conditions({ user, status, name }: PersonalTokenFilter): Statement[] {
  const now = Math.floor(Date.now() / 1000);
  return [
    user === null && sql`user_id IS NULL`,
    typeof user === 'string' && sql`user_id = ${user}`,
    name !== undefined && sql`name = ${name}`,
    status === 'revoked' && sql`revoked_at IS NOT NULL`,
    status === 'expired' && sql`revoked_at IS NULL AND expires_at <= ${now}`,
    status === 'active' && sql`revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ${now})`,
  ].filter((condition) => condition !== false);
}

function rowOf(raw: RawToken): PersonalTokenRow {
  return {
    id: raw.id,
    hash: '',
    hint: raw.hint,
    name: raw.name,
    userId: raw.user_id,
    scopes: JSON.parse(raw.scopes) as string[],
    createdAt: raw.created_at,
    expiresAt: raw.expires_at,
    lastUsedAt: raw.last_used_at,
    revokedAt: raw.revoked_at,
  };
}

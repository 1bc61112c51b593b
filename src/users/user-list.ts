import { Inject, Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { containing, slice, type Key } from '../persistence/keyset.js';
import { IdentityRow, UserRow } from './user.entity.js';

/** Which people; every given one must fit. */
export interface UserFilter {
  readonly status?: UserRow['status'] | undefined;
  readonly role?: string | undefined;
  /** Whole address, in any case. */
  readonly email?: string | undefined;
  /** Part of a name or address. */
  readonly q?: string | undefined;
  /** Has an account at this provider instance. */
  readonly provider?: string | undefined;
}

/** A person with their accounts at providers. */
export interface Person {
  readonly user: UserRow;
  readonly identities: readonly IdentityRow[];
}

/** People as an administrator looks through them. */
@Injectable()
export class UserList {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Newest first; `next` is null on the last page. */
  async page(
    filter: UserFilter,
    { after, limit }: { after: Key | null; limit: number },
  ): Promise<{ items: Person[]; next: Key | null }> {
    const { rows, more } = await slice<{ id: string }>(this.database, {
      from: sql`SELECT id FROM gatehouse_user`,
      where: conditions(filter),
      order: ['id'],
      after,
      limit,
    });
    const ids = rows.map(({ id }) => id);
    return { items: await this.#people(ids), next: more ? [ids.at(-1)!] : null };
  }

  /** null: no such person. */
  async find(id: string): Promise<Person | null> {
    return (await this.#people([id]))[0] ?? null;
  }

  async #people(ids: readonly string[]): Promise<Person[]> {
    if (ids.length === 0) return [];
    const users = await this.database.repository(UserRow).find({ where: { id: In([...ids]) }, order: { id: 'DESC' } });
    const identities = await this.database
      .repository(IdentityRow)
      .find({ where: { userId: In([...ids]) }, order: { createdAt: 'ASC' } });
    return users.map((user) => ({ user, identities: identities.filter(({ userId }) => userId === user.id) }));
  }
}

function conditions({ status, role, email, q, provider }: UserFilter): Statement[] {
  const part = q === undefined ? '' : containing(q);
  return [
    status !== undefined && sql`status = ${status}`,
    role !== undefined && sql`roles LIKE ${containing(JSON.stringify(role))} ESCAPE '\\'`,
    email !== undefined && sql`LOWER(email) = ${email.toLowerCase()}`,
    q !== undefined && sql`(LOWER(name) LIKE ${part} ESCAPE '\\' OR LOWER(email) LIKE ${part} ESCAPE '\\')`,
    provider !== undefined && sql`id IN (SELECT user_id FROM identity WHERE provider = ${provider})`,
  ].filter((condition) => condition !== false);
}

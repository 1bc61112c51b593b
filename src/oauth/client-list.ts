import { Inject, Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { containing, slice, type Key } from '../persistence/keyset.js';
import { ClientRow } from './client.entity.js';

/** Which Clients; every given one must fit. */
export interface ClientFilter {
  readonly status?: ClientRow['status'] | undefined;
  readonly source?: ClientRow['source'] | undefined;
  /** Part of the name. */
  readonly q?: string | undefined;
}

/** Clients as an administrator looks through them. */
@Injectable()
export class ClientList {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Newest first; `next` is null on the last page. */
  async page(
    filter: ClientFilter,
    { after, limit }: { after: Key | null; limit: number },
  ): Promise<{ items: ClientRow[]; next: Key | null }> {
    const { rows, more } = await slice<{ id: string; created_at: number }>(this.database, {
      from: sql`SELECT id, created_at FROM oauth_client`,
      where: conditions(filter),
      order: ['created_at', 'id'],
      after,
      limit,
    });
    if (rows.length === 0) return { items: [], next: null };
    const items = await this.database.repository(ClientRow).find({ where: { id: In(rows.map(({ id }) => id)) } });
    const byId = new Map(items.map((item) => [item.id, item]));
    const last = rows.at(-1)!;
    return {
      items: rows.flatMap(({ id }) => byId.get(id) ?? []),
      next: more ? [last.created_at, last.id] : null,
    };
  }
}

function conditions({ status, source, q }: ClientFilter): Statement[] {
  return [
    status !== undefined && sql`status = ${status}`,
    source !== undefined && sql`source = ${source}`,
    q !== undefined && sql`LOWER(name) LIKE ${containing(q)} ESCAPE '\\'`,
  ].filter((condition) => condition !== false);
}

import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { slice, type Key } from '../persistence/keyset.js';
import { timeIdFloor } from '../protocol/time-id.js';
import type { EventRow } from './event.entity.js';

/** Which Events; every given one must fit. */
export interface EventFilter {
  readonly type?: string | undefined;
  readonly outcome?: EventRow['outcome'] | undefined;
  readonly actor?: string | undefined;
  readonly user?: string | undefined;
  readonly client?: string | undefined;
  readonly grant?: string | undefined;
  readonly provider?: string | undefined;
  readonly reference?: string | undefined;
  /** Epoch milliseconds, included. */
  readonly since?: number | undefined;
  /** Epoch milliseconds, excluded. */
  readonly until?: number | undefined;
}

type Raw = Omit<EventRow, 'userId' | 'clientId' | 'grantId' | 'detail'> & {
  user_id: string | null;
  client_id: string | null;
  grant_id: string | null;
  detail: string | null;
};

/** Rows that the export reads at once. Few: what a large page leaves behind outlives the young generation, and memory grows by what is not yet collected. */
const EXPORT_PAGE = 100;

/** The audit log as it is read. */
@Injectable()
export class EventList {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Newest first; `next` is null on the last page. */
  async page(
    filter: EventFilter,
    { after, limit, ascending = false }: { after: Key | null; limit: number; ascending?: boolean },
  ): Promise<{ items: EventRow[]; next: Key | null }> {
    const { rows, more } = await slice<Raw>(this.database, {
      from: sql`SELECT id, at, type, outcome, actor, user_id, client_id, grant_id, provider, ip, reference, detail FROM event`,
      where: conditions(filter),
      order: ['id'],
      after,
      limit,
      ascending,
    });
    return { items: rows.map(eventOf), next: more ? [rows.at(-1)!.id] : null };
  }

  /** By whom and when the newest one that fits was written, for the detail of a trace; null: there is none. */
  async latest(filter: EventFilter): Promise<{ by: string | null; at: string } | null> {
    const [event] = (await this.page(filter, { after: null, limit: 1 })).items;
    return event ? { by: event.actor, at: new Date(event.at).toISOString() } : null;
  }

  /** Everything that fits and was written before the export began, oldest first, a page at a time: no more is held. */
  async *export(filter: EventFilter): AsyncGenerator<readonly EventRow[]> {
    const until = Math.min(filter.until ?? Infinity, Date.now() + 1);
    let after: Key | null = null;
    do {
      const page: { items: EventRow[]; next: Key | null } = await this.page(
        { ...filter, until },
        { after, limit: EXPORT_PAGE, ascending: true },
      );
      if (page.items.length > 0) yield page.items;
      after = page.next;
      // On SQLite nothing above waits for anything: other requests get their turn here.
      await new Promise((resolve) => setImmediate(resolve));
    } while (after !== null);
  }
}

function conditions(filter: EventFilter): Statement[] {
  const { type, outcome, actor, user, client, grant, provider, reference, since, until } = filter;
  return [
    type !== undefined && sql`type = ${type}`,
    outcome !== undefined && sql`outcome = ${outcome}`,
    actor !== undefined && sql`actor = ${actor}`,
    user !== undefined && sql`user_id = ${user}`,
    client !== undefined && sql`client_id = ${client}`,
    grant !== undefined && sql`grant_id = ${grant}`,
    provider !== undefined && sql`provider = ${provider}`,
    reference !== undefined && sql`reference = ${reference}`,
    since !== undefined && sql`id >= ${timeIdFloor(since)}`,
    until !== undefined && sql`id < ${timeIdFloor(until)}`,
  ].filter((condition) => condition !== false);
}

// Member by member: of an object spread the engine makes objects of their own shape, which outlive the young generation; an export then grew by 100 MiB.
function eventOf(raw: Raw): EventRow {
  return {
    id: raw.id,
    at: raw.at,
    type: raw.type,
    outcome: raw.outcome,
    actor: raw.actor,
    userId: raw.user_id,
    clientId: raw.client_id,
    grantId: raw.grant_id,
    provider: raw.provider,
    ip: raw.ip,
    reference: raw.reference,
    detail: raw.detail === null ? null : (JSON.parse(raw.detail) as Record<string, unknown>),
  };
}

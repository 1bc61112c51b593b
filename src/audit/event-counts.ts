import { Inject, Injectable } from '@nestjs/common';
import { Database, sql } from '../persistence/database.js';
import { timeIdFloor } from '../protocol/time-id.js';

const DAY_MS = 86_400_000;
/** A day is over for good when no node can still write into it. */
const SETTLED_MS = 300_000;
const REMEMBERED_DAYS = 40;

/** How many Events of each type and outcome; the key is `type outcome`. */
export type Counts = ReadonlyMap<string, number>;

/** Counts Events of a stretch of time, a day at a time, so that a million of them never hold up the process; days that are over are remembered. */
@Injectable()
export class EventCounts {
  readonly #days = new Map<number, Counts>();

  constructor(@Inject(Database) private readonly database: Database) {}

  /** From `since` (epoch milliseconds, included) until now. */
  async since(since: number, now = Date.now()): Promise<Counts> {
    const total = new Map<string, number>();
    for (let from = since; from <= now;) {
      const midnight = (Math.floor(from / DAY_MS) + 1) * DAY_MS;
      const until = Math.min(midnight, now + 1);
      const wholeDay = from % DAY_MS === 0 && until === midnight && now > until + SETTLED_MS;
      const counts = wholeDay ? await this.#day(from) : await this.#count(from, until);
      for (const [key, count] of counts) total.set(key, (total.get(key) ?? 0) + count);
      from = until;
    }
    return total;
  }

  async #day(from: number): Promise<Counts> {
    let counts = this.#days.get(from);
    if (!counts) {
      counts = await this.#count(from, from + DAY_MS);
      if (this.#days.size >= REMEMBERED_DAYS) this.#days.delete(Math.min(...this.#days.keys()));
      this.#days.set(from, counts);
    }
    return counts;
  }

  async #count(from: number, until: number): Promise<Counts> {
    const rows = await this.database.rows<{ type: string; outcome: string; n: number }>(
      sql`SELECT type, outcome, COUNT(*) AS n FROM event WHERE id >= ${timeIdFloor(from)} AND id < ${timeIdFloor(until)} GROUP BY type, outcome`,
    );
    await new Promise((resolve) => setImmediate(resolve));
    return new Map(rows.map(({ type, outcome, n }) => [`${type} ${outcome}`, n]));
  }
}

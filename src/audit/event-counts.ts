import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import { sql } from '../persistence/statement.js';
import { timeIdFloor } from '../protocol/time-id.js';

const HOUR_MS = 3_600_000;
/** An hour is over for good when no node can still write into it. */
const SETTLED_MS = 300_000;
const REMEMBERED_HOURS = 800;

/** How many Events of each type and outcome; the key is `type outcome`. */
export type Counts = ReadonlyMap<string, number>;

/** Counts Events of a stretch of time, an hour at a time, so that a million of them never hold up the process; hours that are over are remembered. */
@Injectable()
export class EventCounts {
  readonly #hours = new Map<number, Counts>();

  constructor(@Inject(Database) private readonly database: Database) {}

  /** From `since` (epoch milliseconds, included) until now. */
  async since(since: number, now = Date.now()): Promise<Counts> {
    const total = new Map<string, number>();
    for (let from = since; from <= now;) {
      const next = (Math.floor(from / HOUR_MS) + 1) * HOUR_MS;
      const until = Math.min(next, now + 1);
      const whole = from % HOUR_MS === 0 && until === next && now > until + SETTLED_MS;
      const counts = whole ? await this.#hour(from) : await this.#count(from, until);
      for (const [key, count] of counts) total.set(key, (total.get(key) ?? 0) + count);
      from = until;
    }
    return total;
  }

  async #hour(from: number): Promise<Counts> {
    let counts = this.#hours.get(from);
    if (!counts) {
      counts = await this.#count(from, from + HOUR_MS);
      if (this.#hours.size >= REMEMBERED_HOURS) this.#hours.delete(Math.min(...this.#hours.keys()));
      this.#hours.set(from, counts);
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

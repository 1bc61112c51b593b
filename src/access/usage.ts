import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { Database } from '../persistence/database.js';
import type { Statement } from '../persistence/statement.js';
import type { Principal } from '../providers/contract.js';

const FLUSH_MS = 10_000;

/** What to write down about a Principal's latest call. `at`: epoch seconds. */
export type UsageWriter = (principal: Principal, at: number) => readonly Statement[];

/** When tokens were last used, noted on each call and written in one commit every ten seconds: no write on the tool-call path. */
@Injectable()
export class Usage implements BeforeApplicationShutdown {
  readonly #log = new Logger('Usage');
  readonly #writers: UsageWriter[] = [];
  readonly #preludes: (() => Promise<void>)[] = [];
  #noted = new Map<Principal, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly database: Database) {}

  /** Adds a room's statements for each used Principal. `before` is awaited ahead of each commit and must not reject. */
  addWriter(writer: UsageWriter, before?: () => Promise<void>): void {
    this.#writers.push(writer);
    if (before) this.#preludes.push(before);
  }

  /** This Principal has just called. */
  note(principal: Principal): void {
    this.#noted.set(principal, Math.floor(Date.now() / 1000));
    if (this.#timer) return;
    this.#timer = setTimeout(() => void this.flush(), FLUSH_MS);
    this.#timer.unref();
  }

  /** Writes what is noted; what cannot be written now is dropped, with a line in the log. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const noted = this.#noted;
    this.#noted = new Map();
    if (noted.size === 0) return;
    await Promise.all(this.#preludes.map((before) => before()));
    const statements = [...noted].flatMap(([principal, at]) =>
      this.#writers.flatMap((writer) => writer(principal, at)),
    );
    if (statements.length === 0) return;
    await this.database
      .commit(statements)
      .catch((error: unknown) => this.#log.warn(`last-used times were not written: ${String(error)}`));
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.flush();
  }
}

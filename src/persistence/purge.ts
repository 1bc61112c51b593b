import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Database } from './database.js';
import type { Statement } from './statement.js';

/** Rows that one statement deletes: small, so that a purge never holds up a sign-in. */
const BATCH = 1000;
const EVERY_MS = 60_000;
/** Statements of one job in one round; the rest waits for the next. */
const BATCHES_A_ROUND = 50;

/** What is over and may go. */
export interface PurgeJob {
  /** For the log: what is deleted. */
  readonly name: string;
  /** Deletes at most `batch` rows; run again while it finds that many. */
  readonly statement: (batch: number) => Statement;
}

/** Deletes what is over, in small batches, once a minute: rooms add what they own. */
@Injectable()
export class Purge implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger('Purge');
  readonly #jobs: PurgeJob[] = [];
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(@Inject(Database) private readonly database: Database) {}

  /** To be run from now on. */
  add(job: PurgeJob): void {
    this.#jobs.push(job);
  }

  onApplicationBootstrap(): void {
    this.#schedule();
  }

  onApplicationShutdown(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** One round of every job; a job that fails is logged and tried again in the next round. @returns rows deleted, by job */
  async run(): Promise<Record<string, number>> {
    const deleted: Record<string, number> = {};
    for (const job of this.#jobs) {
      try {
        deleted[job.name] = await this.#drain(job);
      } catch (error) {
        if (!this.#stopped) this.#log.warn(`${job.name} could not be purged: ${String(error)}`);
      }
    }
    return deleted;
  }

  async #drain({ statement }: PurgeJob): Promise<number> {
    let total = 0;
    for (let round = 0; round < BATCHES_A_ROUND && !this.#stopped; round++) {
      const [rows = 0] = await this.database.commit([statement(BATCH)]);
      total += rows;
      if (rows < BATCH) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return total;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.run().finally(() => this.#schedule()), EVERY_MS);
    this.#timer.unref();
  }
}

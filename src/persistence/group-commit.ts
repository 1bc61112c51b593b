import { setImmediate, setTimeout } from 'node:timers';
import type { Database as SqliteHandle, Statement as SqliteStatement } from 'better-sqlite3';
import { DatabaseUnavailable, isBusy, isOutOfReach } from './faults.js';

/** Time for which a write waits for another process's lock on the SQLite file, milliseconds. */
const BUSY_PATIENCE_MS = 5000;
/** Writes that share a transaction at most: the event loop stands still until its fsync is done. */
const GROUP = 64;

interface Waiting {
  /** Runs the statements and says how many rows each touched. */
  readonly work: () => number[];
  readonly resolve: (affected: number[]) => void;
  readonly reject: (error: unknown) => void;
  readonly giveUpAt: number;
}

/**
 * Commits on SQLite. Writes of all requests that wait at the same moment share one transaction, and so one fsync; each is a savepoint of its own, all of
 * it or none. Nothing is answered before the COMMIT. Synchronous from BEGIN to COMMIT: all requests share the connection, so an await would let
 * strangers' writes in.
 */
export class GroupCommit {
  #waiting: Waiting[] = [];
  #scheduled = false;
  readonly #control = new Map<string, SqliteStatement>();

  constructor(private readonly handle: () => SqliteHandle) {}

  /** @throws whatever `work` throws, its writes undone  @throws DatabaseUnavailable */
  commit(work: () => number[]): Promise<number[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, resolve, reject, giveUpAt: performance.now() + BUSY_PATIENCE_MS });
      this.#schedule();
    });
  }

  /** Writes what waits, now; for the shutdown. */
  flush(wait = 5): void {
    this.#scheduled = false;
    if (this.#waiting.length === 0) return;
    try {
      const settle = this.#transact();
      this.#waiting.splice(0, settle.length);
      for (const one of settle) one();
    } catch (error) {
      if (isBusy(error)) return this.#waitFor(error, wait);
      const fault = isOutOfReach(error) ? new DatabaseUnavailable(error) : error;
      for (const { reject } of this.#waiting.splice(0, GROUP)) reject(fault);
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  /** Another process holds the lock. */
  #waitFor(error: unknown, wait: number): void {
    const now = performance.now();
    for (const { reject } of this.#waiting.filter(({ giveUpAt }) => giveUpAt < now))
      reject(new DatabaseUnavailable(error));
    this.#waiting = this.#waiting.filter(({ giveUpAt }) => giveUpAt >= now);
    if (this.#waiting.length === 0) return;
    this.#scheduled = true;
    setTimeout(() => this.flush(Math.min(wait * 2, 100)), wait + Math.random() * wait);
  }

  /** @returns how to tell each of the group, in order */
  #transact(): (() => void)[] {
    const handle = this.handle();
    this.#run('BEGIN IMMEDIATE');
    try {
      const settle = this.#waiting.slice(0, GROUP).map((one) => this.#part(handle, one));
      this.#run('COMMIT');
      return settle;
    } finally {
      if (handle.inTransaction) this.#run('ROLLBACK');
    }
  }

  #run(text: string): void {
    let statement = this.#control.get(text);
    if (!statement) this.#control.set(text, (statement = this.handle().prepare(text)));
    statement.run();
  }

  #part(handle: SqliteHandle, { work, resolve, reject }: Waiting): () => void {
    this.#run('SAVEPOINT part');
    try {
      const affected = work();
      this.#run('RELEASE part');
      return () => resolve(affected);
    } catch (error) {
      // A full disk or a lost lock concerns the whole transaction.
      if (isBusy(error) || isOutOfReach(error) || !handle.inTransaction) throw error;
      this.#run('ROLLBACK TO part');
      this.#run('RELEASE part');
      return () => reject(error);
    }
  }
}

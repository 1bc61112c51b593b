import { CommitConflict, DatabaseUnavailable, isBusy, isOutOfReach } from './faults.js';
import type { Statement } from './statement.js';

/** Runs statements on one of the two databases. */
export interface Executor {
  /** Rows of one read-only statement. @throws the driver's error */
  rows(statement: Statement): Promise<Record<string, unknown>[]>;
  /**
   * All statements or none, durably.
   * @returns how many rows each touched
   * @throws CommitConflict @throws DuplicateRow @throws DatabaseUnavailable
   */
  commit(statements: readonly Statement[]): Promise<number[]>;
  /** Writes what waits. */
  flush(): void;
}

/** @throws CommitConflict when the statement at `index` touched another number of rows than it expects */
export function checkExpectation(statement: Statement, index: number, rows: number): void {
  if (statement.expect !== undefined && rows !== statement.expect) throw new CommitConflict(index, rows);
}

/** What a reader is told: an unreachable or locked database is `DatabaseUnavailable`, everything else as it came. */
export function readFault(error: unknown): unknown {
  return isOutOfReach(error) || isBusy(error) ? new DatabaseUnavailable(error) : error;
}

import type { Database as SqliteHandle, Statement as SqliteStatement } from 'better-sqlite3';
import { checkExpectation, type Executor } from './executor.js';
import { DuplicateRow, isConstraint } from './faults.js';
import { GroupCommit } from './group-commit.js';
import { render, type Statement } from './statement.js';

/** Statements on the embedded file: synchronous underneath, each text prepared once, writes in group commits. */
export class SqliteExecutor implements Executor {
  readonly #prepared = new Map<string, SqliteStatement>();
  readonly #group: GroupCommit;

  constructor(private readonly handle: () => SqliteHandle) {
    this.#group = new GroupCommit(handle);
  }

  // Asynchronous although nothing waits here: a fault of the driver is a rejection, as on Postgres.
  async rows(statement: Statement): Promise<Record<string, unknown>[]> {
    return this.#prepare(statement).all(...statement.values.map(bindable)) as Record<string, unknown>[];
  }

  async commit(statements: readonly Statement[]): Promise<number[]> {
    try {
      return await this.#group.commit(() => statements.map((statement, index) => this.#run(statement, index)));
    } catch (error) {
      throw isConstraint(error) ? new DuplicateRow(error) : error;
    }
  }

  flush(): void {
    this.#group.flush();
  }

  #run(statement: Statement, index: number): number {
    const prepared = this.#prepare(statement);
    const values = statement.values.map(bindable);
    const rows = prepared.reader ? prepared.all(...values).length : prepared.run(...values).changes;
    checkExpectation(statement, index, rows);
    return rows;
  }

  #prepare(statement: Statement): SqliteStatement {
    const text = render(statement, 'sqlite');
    let prepared = this.#prepared.get(text);
    if (!prepared) this.#prepared.set(text, (prepared = this.handle().prepare(text)));
    return prepared;
  }
}

/** better-sqlite3 binds neither booleans nor undefined. */
function bindable(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value === undefined ? null : value;
}

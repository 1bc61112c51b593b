import type { Pool, PoolClient, QueryResult } from 'pg';
import { checkExpectation, type Executor } from './executor.js';
import { DatabaseUnavailable, DuplicateRow, isConstraint, isOutOfReach, isTransient } from './faults.js';
import { render, type Statement } from './statement.js';

/** How often a transaction that lost a race (40001, 40P01) is tried again. */
const RETRIES = 3;

/** Statements on Postgres, each planned once per connection. */
export class PostgresExecutor implements Executor {
  constructor(private readonly pool: () => Pool) {}

  async rows(statement: Statement): Promise<Record<string, unknown>[]> {
    const { rows } = await query(this.pool(), statement);
    return rows;
  }

  async commit(statements: readonly Statement[]): Promise<number[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#transact(statements);
      } catch (error) {
        if (isTransient(error) && attempt < RETRIES) continue;
        if (isTransient(error) || isOutOfReach(error)) throw new DatabaseUnavailable(error);
        throw isConstraint(error) ? new DuplicateRow(error) : error;
      }
    }
  }

  /** Nothing waits: every commit is a transaction of its own. */
  flush(): void {}

  async #transact(statements: readonly Statement[]): Promise<number[]> {
    const client = await this.pool().connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const affected: number[] = [];
      for (const [index, statement] of statements.entries()) {
        const rows = (await query(client, statement)).rowCount ?? 0;
        checkExpectation(statement, index, rows);
        affected.push(rows);
      }
      await client.query('COMMIT');
      return affected;
    } catch (error) {
      await client.query('ROLLBACK').catch((rollback: Error) => (broken = rollback));
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

function query(on: Pool | PoolClient, statement: Statement): Promise<QueryResult<Record<string, unknown>>> {
  const text = render(statement, 'postgres');
  return on.query({ name: planName(text), text, values: [...statement.values] });
}

const planNames = new Map<string, string>();

/** A short stable name for a server-side prepared plan; Postgres cuts names at 63 bytes. */
function planName(text: string): string {
  let name = planNames.get(text);
  if (!name) planNames.set(text, (name = `gatehouse_${planNames.size}`));
  return name;
}

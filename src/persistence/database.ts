import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Database as SqliteHandle } from 'better-sqlite3';
import { DataSource, type EntityTarget, type ObjectLiteral, type Repository } from 'typeorm';
import type { Pool } from 'pg';
import { EntityStatements } from './entity-statements.js';
import { readFault, type Executor } from './executor.js';
import { PostgresExecutor } from './postgres-executor.js';
import { SqliteExecutor } from './sqlite-executor.js';
import type { Dialect, Statement } from './statement.js';

/** The database of this process: reads by repositories or prepared statements, writes by `commit` only. */
@Injectable()
export class Database implements OnApplicationShutdown {
  readonly dialect: Dialect;
  readonly #executor: Executor;
  readonly #entities: EntityStatements;
  readonly #repositories = new Map<unknown, Repository<ObjectLiteral>>();

  constructor(readonly source: DataSource) {
    this.dialect = source.options.type === 'postgres' ? 'postgres' : 'sqlite';
    this.#entities = new EntityStatements(source);
    // The driver has its connection once the source is initialized.
    this.#executor =
      this.dialect === 'postgres'
        ? new PostgresExecutor(() => (source.driver as unknown as { master: Pool }).master)
        : new SqliteExecutor(
            () => (source.driver as unknown as { databaseConnection: SqliteHandle }).databaseConnection,
          );
  }

  /** For reads. Never call `save`, `insert`, `update` or `delete` on it: writes go through `commit`. */
  repository<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>): Repository<Entity> {
    let repository = this.#repositories.get(entity);
    if (!repository) {
      repository = forReading(this.source.getRepository(entity) as Repository<ObjectLiteral>, (where, how) =>
        this.#lookUp(entity as EntityTarget<ObjectLiteral>, where, how),
      );
      this.#repositories.set(entity, repository);
    }
    return repository as unknown as Repository<Entity>;
  }

  /** A row to insert, by property names of the entity. */
  insert<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>, row: Partial<Entity>): Statement {
    return this.#entities.insert(entity, row);
  }

  /** Sets columns of all rows that equal `where` (null: IS NULL). */
  update<Entity extends ObjectLiteral>(
    entity: EntityTarget<Entity>,
    set: Partial<Entity>,
    where: Partial<Entity>,
  ): Statement {
    return this.#entities.update(entity, set, where);
  }

  /** Deletes all rows that equal `where`. */
  remove<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>, where: Partial<Entity>): Statement {
    return this.#entities.remove(entity, where);
  }

  /**
   * Writes all statements or none, durably, and says how many rows each touched.
   * @throws CommitConflict when an expectation fails  @throws DuplicateRow on a unique or primary key
   * @throws DatabaseUnavailable when the database stays out of reach: the caller answers 503
   */
  async commit(statements: readonly Statement[]): Promise<number[]> {
    return this.#executor.commit(statements);
  }

  /** Rows of one read-only statement, without the ORM. The statement is prepared once per text. @throws DatabaseUnavailable */
  async rows<T = Record<string, unknown>>(statement: Statement): Promise<T[]> {
    try {
      return (await this.#executor.rows(statement)) as T[];
    } catch (error) {
      throw readFault(error);
    }
  }

  /** The first row, or null. @throws DatabaseUnavailable */
  async row<T = Record<string, unknown>>(statement: Statement): Promise<T | null> {
    return (await this.rows<T>(statement))[0] ?? null;
  }

  async onApplicationShutdown(): Promise<void> {
    if (!this.source.isInitialized) return;
    this.#executor.flush();
    await this.source.destroy();
  }

  /** By a prepared statement: the ORM's query builder costs twenty times as much, and every request looks rows up. */
  async #lookUp(
    entity: EntityTarget<ObjectLiteral>,
    where: ObjectLiteral,
    how: 'first' | 'all',
  ): Promise<ObjectLiteral[]> {
    const rows = await this.rows(this.#entities.lookUp(entity, where, how));
    return rows.map((row) => this.#entities.hydrate(entity, row));
  }
}

/**
 * The ORM throws the driver's errors: those that mean an unreachable database become `DatabaseUnavailable`, as everywhere else. Look-ups by plain
 * values go through `lookUp`.
 */
function forReading<Entity extends ObjectLiteral>(
  repository: Repository<Entity>,
  lookUp: (where: ObjectLiteral, how: 'first' | 'all') => Promise<ObjectLiteral[]>,
): Repository<Entity> {
  return new Proxy(repository, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || !/^(find|count|exist)/.test(String(name))) return value;
      return async (...args: unknown[]): Promise<unknown> => {
        if (name === 'findOneBy' && isPlain(args[0])) return (await lookUp(args[0], 'first'))[0] ?? null;
        if (name === 'findBy' && isPlain(args[0])) return lookUp(args[0], 'all');
        try {
          return await (Reflect.apply(value, target, args) as Promise<unknown>);
        } catch (error) {
          throw readFault(error);
        }
      };
    },
  });
}

/** Text, numbers, booleans and nulls only: nothing that needs the ORM's operators. */
function isPlain(where: unknown): where is ObjectLiteral {
  if (typeof where !== 'object' || where === null || Array.isArray(where)) return false;
  const values = Object.values(where);
  return (
    values.length > 0 &&
    values.every((value) => value === null || ['string', 'number', 'boolean'].includes(typeof value))
  );
}

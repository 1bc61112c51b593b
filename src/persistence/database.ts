import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Database as SqliteHandle, Statement as SqliteStatement } from 'better-sqlite3';
import { DataSource, type EntityMetadata, type EntityTarget, type ObjectLiteral, type Repository } from 'typeorm';
import type { Pool } from 'pg';
import { GroupCommit } from './group-commit.js';
import { DatabaseUnavailable, isBusy, isConstraint, isOutOfReach, isTransient } from './faults.js';

/** One write of a commit. `expect`: how many rows it must touch (for a SELECT: return); any other number rolls the whole commit back. */
export interface Statement {
  readonly text: readonly string[];
  readonly values: readonly unknown[];
  readonly expect?: number | undefined;
}

/** A statement touched another number of rows than expected; nothing was written. `index` says which one. */
export class CommitConflict extends Error {
  override readonly name = 'CommitConflict';
  constructor(
    readonly index: number,
    readonly affected: number,
  ) {
    super(`statement ${index} touched ${affected} rows`);
  }
}

/** SQL with values as parameters, never as text: sql`UPDATE oauth_token SET consumed_at = ${now} WHERE id_hash = ${hash}`. */
export function sql(text: TemplateStringsArray, ...values: readonly unknown[]): Statement {
  return { text, values };
}

/** The same statement, rolled back unless it touches exactly `rows` rows. */
export function expecting(rows: number, statement: Statement): Statement {
  return { ...statement, expect: rows };
}

type Row = Record<string, unknown>;
type ColumnMetadata = EntityMetadata['columns'][number];

const POSTGRES_RETRIES = 3;

/** The database of this process: reads by repositories or prepared statements, writes by `commit` only. */
@Injectable()
export class Database implements OnApplicationShutdown {
  readonly #prepared = new Map<string, SqliteStatement>();
  readonly #repositories = new Map<unknown, Repository<ObjectLiteral>>();
  readonly #lookups = new Map<string, readonly string[]>();
  readonly #inserts = new Map<string, readonly string[]>();
  readonly #columnsOf = new Map<unknown, ReadonlyMap<string, ColumnMetadata>>();
  readonly #group = new GroupCommit(() => this.#sqlite);

  constructor(readonly source: DataSource) {}

  get dialect(): 'sqlite' | 'postgres' {
    return this.source.options.type === 'postgres' ? 'postgres' : 'sqlite';
  }

  /** For reads. Never call `save`, `insert`, `update` or `delete` on it: writes go through `commit`. */
  repository<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>): Repository<Entity> {
    let repository = this.#repositories.get(entity);
    if (!repository) {
      repository = withFaults(this.source.getRepository(entity) as Repository<ObjectLiteral>, (where) =>
        this.#lookUp(entity as EntityTarget<ObjectLiteral>, where),
      );
      this.#repositories.set(entity, repository);
    }
    return repository as unknown as Repository<Entity>;
  }

  /** A row to insert, by property names of the entity. */
  insert<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>, row: Partial<Entity>): Statement {
    const pairs = this.#columns(entity, row);
    const head = `INSERT INTO ${this.#table(entity)} (${pairs.map(([column]) => column).join(', ')}) VALUES (`;
    let text = this.#inserts.get(head);
    if (!text) {
      text = [...pairs.map((_, i) => (i === 0 ? head : ', ')), ')'];
      this.#inserts.set(head, text);
    }
    return { text, values: pairs.map(([, value]) => value) };
  }

  /** Sets columns of all rows that equal `where` (null: IS NULL). */
  update<Entity extends ObjectLiteral>(
    entity: EntityTarget<Entity>,
    set: Partial<Entity>,
    where: Partial<Entity>,
  ): Statement {
    const assignments = this.#columns(entity, set);
    const text = [`UPDATE ${this.#table(entity)} SET `];
    const values: unknown[] = [];
    assignments.forEach(([column, value], i) => {
      text[text.length - 1] += `${i ? ', ' : ''}${column} = `;
      values.push(value);
      text.push('');
    });
    this.#where(entity, where, text, values);
    return { text, values };
  }

  /** Deletes all rows that equal `where`. */
  remove<Entity extends ObjectLiteral>(entity: EntityTarget<Entity>, where: Partial<Entity>): Statement {
    const text = [`DELETE FROM ${this.#table(entity)}`];
    const values: unknown[] = [];
    this.#where(entity, where, text, values);
    return { text, values };
  }

  /**
   * Writes all statements or none, durably, and says how many rows each touched.
   * @throws CommitConflict when an expectation fails  @throws DuplicateRow on a unique or primary key
   * @throws DatabaseUnavailable when the database stays out of reach: the caller answers 503
   */
  async commit(statements: readonly Statement[]): Promise<number[]> {
    return this.dialect === 'sqlite' ? this.#commitSqlite(statements) : this.#commitPostgres(statements);
  }

  /** Rows of one read-only statement, without the ORM. The statement is prepared once per text. */
  async rows<T = Row>(statement: Statement): Promise<T[]> {
    try {
      if (this.dialect === 'sqlite')
        return this.#prepare(render(statement, 'sqlite')).all(...statement.values.map(bindable)) as T[];
      const text = render(statement, 'postgres');
      const { rows } = await this.#pool.query({ name: planName(text), text, values: [...statement.values] });
      return rows as T[];
    } catch (error) {
      throw isOutOfReach(error) || isBusy(error) ? new DatabaseUnavailable(error) : error;
    }
  }

  /** The first row, or null. */
  async row<T = Row>(statement: Statement): Promise<T | null> {
    return (await this.rows<T>(statement))[0] ?? null;
  }

  async onApplicationShutdown(): Promise<void> {
    if (!this.source.isInitialized) return;
    if (this.dialect === 'sqlite') this.#group.flush();
    await this.source.destroy();
  }

  get #sqlite(): SqliteHandle {
    return (this.source.driver as unknown as { databaseConnection: SqliteHandle }).databaseConnection;
  }

  get #pool(): Pool {
    return (this.source.driver as unknown as { master: Pool }).master;
  }

  async #commitSqlite(statements: readonly Statement[]): Promise<number[]> {
    try {
      return await this.#group.commit(() => statements.map((statement, index) => this.#runSqlite(statement, index)));
    } catch (error) {
      throw isConstraint(error) ? new DuplicateRow(error) : error;
    }
  }

  #runSqlite(statement: Statement, index: number): number {
    const prepared = this.#prepare(render(statement, 'sqlite'));
    const values = statement.values.map(bindable);
    const rows = prepared.reader ? prepared.all(...values).length : prepared.run(...values).changes;
    if (statement.expect !== undefined && rows !== statement.expect) throw new CommitConflict(index, rows);
    return rows;
  }

  async #commitPostgres(statements: readonly Statement[]): Promise<number[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#transactPostgres(statements);
      } catch (error) {
        if (isTransient(error) && attempt < POSTGRES_RETRIES) continue;
        throw isTransient(error) || isOutOfReach(error)
          ? new DatabaseUnavailable(error)
          : isConstraint(error)
            ? new DuplicateRow(error)
            : error;
      }
    }
  }

  async #transactPostgres(statements: readonly Statement[]): Promise<number[]> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const affected: number[] = [];
      for (const [index, statement] of statements.entries()) {
        const text = render(statement, 'postgres');
        const { rowCount } = await client.query({ name: planName(text), text, values: [...statement.values] });
        const rows = rowCount ?? 0;
        if (statement.expect !== undefined && rows !== statement.expect) throw new CommitConflict(index, rows);
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

  /** The first row that equals `where`, by a prepared statement: the ORM's query builder costs twenty times as much, and every request looks rows up. */
  async #lookUp(entity: EntityTarget<ObjectLiteral>, where: ObjectLiteral): Promise<ObjectLiteral | null> {
    const metadata = this.source.getMetadata(entity);
    const pairs = this.#columns(entity, where);
    const key = `${metadata.tableName} ${pairs.map(([column, value]) => (value === null ? `${column}?` : column)).join()}`;
    let text = this.#lookups.get(key);
    if (!text) {
      const columns = metadata.columns.map(({ databaseName }) => `"${databaseName}"`).join(', ');
      const parts = [`SELECT ${columns} FROM "${metadata.tableName}"`];
      this.#where(entity, where, parts, []);
      parts[parts.length - 1] += ' LIMIT 1';
      text = parts;
      this.#lookups.set(key, text);
    }
    const row = await this.row({ text, values: pairs.map(([, value]) => value).filter((value) => value !== null) });
    return row && hydrate(metadata, row);
  }

  #prepare(text: string): SqliteStatement {
    let statement = this.#prepared.get(text);
    if (!statement) {
      statement = this.#sqlite.prepare(text);
      this.#prepared.set(text, statement);
    }
    return statement;
  }

  #table(entity: EntityTarget<ObjectLiteral>): string {
    return `"${this.source.getMetadata(entity).tableName}"`;
  }

  #columns(entity: EntityTarget<ObjectLiteral>, row: ObjectLiteral): [string, unknown][] {
    const columns = this.#columnsByProperty(entity);
    return Object.entries(row)
      .filter(([, value]) => value !== undefined)
      .map(([property, value]) => {
        const column = columns.get(property);
        if (!column) throw new TypeError(`${this.source.getMetadata(entity).name} has no column ${property}`);
        const transformer = column.transformer;
        const stored = transformer && !Array.isArray(transformer) ? (transformer.to(value) as unknown) : value;
        return [`"${column.databaseName}"`, stored];
      });
  }

  #columnsByProperty(entity: EntityTarget<ObjectLiteral>): ReadonlyMap<string, ColumnMetadata> {
    let columns = this.#columnsOf.get(entity);
    if (!columns) {
      columns = new Map(this.source.getMetadata(entity).columns.map((column) => [column.propertyName, column]));
      this.#columnsOf.set(entity, columns);
    }
    return columns;
  }

  #where(entity: EntityTarget<ObjectLiteral>, where: ObjectLiteral, text: string[], values: unknown[]): void {
    const pairs = this.#columns(entity, where);
    if (pairs.length === 0) throw new TypeError('an update or removal without a condition');
    pairs.forEach(([column, value], i) => {
      text[text.length - 1] += i ? ' AND ' : ' WHERE ';
      if (value === null) {
        text[text.length - 1] += `${column} IS NULL`;
        return;
      }
      text[text.length - 1] += `${column} = `;
      values.push(value);
      text.push('');
    });
  }
}

/** A unique or primary key already holds such a row; nothing was written. */
export class DuplicateRow extends Error {
  override readonly name = 'DuplicateRow';
  constructor(cause: unknown) {
    super('a row with this key exists', { cause });
  }
}

/**
 * The ORM throws the driver's errors: those that mean an unreachable database become `DatabaseUnavailable`, as everywhere else. Look-ups of one row by
 * plain values go through `lookUp`.
 */
function withFaults<Entity extends ObjectLiteral>(
  repository: Repository<Entity>,
  lookUp: (where: ObjectLiteral) => Promise<ObjectLiteral | null>,
): Repository<Entity> {
  return new Proxy(repository, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || !/^(find|count|exist)/.test(String(name))) return value;
      return async (...args: unknown[]): Promise<unknown> => {
        if (name === 'findOneBy' && isPlain(args[0])) return lookUp(args[0]);
        try {
          return await (Reflect.apply(value, target, args) as Promise<unknown>);
        } catch (error) {
          throw isOutOfReach(error) || isBusy(error) ? new DatabaseUnavailable(error) : error;
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

function hydrate(metadata: EntityMetadata, row: Row): ObjectLiteral {
  const entity = metadata.create() as Record<string, unknown>;
  for (const { propertyName, databaseName, transformer, type } of metadata.columns) {
    const stored = row[databaseName];
    const plain = type === 'boolean' && typeof stored === 'number' ? stored === 1 : stored;
    entity[propertyName] = transformer && !Array.isArray(transformer) ? (transformer.from(plain) as unknown) : plain;
  }
  return entity;
}

/** By dialect: a template's text array is one object for the whole process, whichever databases it opens. */
const rendered = {
  sqlite: new WeakMap<readonly string[], string>(),
  postgres: new WeakMap<readonly string[], string>(),
};

function render({ text }: Statement, dialect: keyof typeof rendered): string {
  const known = rendered[dialect].get(text);
  if (known !== undefined) return known;
  const made = text.reduce((all, part, i) => `${all}${dialect === 'sqlite' ? '?' : `$${i}`}${part}`);
  rendered[dialect].set(text, made);
  return made;
}

/** A short stable name for a server-side prepared plan; Postgres cuts names at 63 bytes. */
function planName(text: string): string {
  let name = planNames.get(text);
  if (!name) {
    name = `gatehouse_${planNames.size}`;
    planNames.set(text, name);
  }
  return name;
}
const planNames = new Map<string, string>();

/** better-sqlite3 binds neither booleans nor undefined. */
function bindable(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value === undefined ? null : value;
}

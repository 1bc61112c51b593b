import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';
import type { Statement } from './statement.js';

type Column = EntityMetadata['columns'][number];

/** SQL for whole rows of an entity, by its property names. A text is made once for each set of columns, so that it is prepared once. */
export class EntityStatements {
  readonly #columnsOf = new Map<unknown, ReadonlyMap<string, Column>>();
  readonly #inserts = new Map<string, readonly string[]>();
  readonly #lookUps = new Map<string, readonly string[]>();

  constructor(private readonly source: DataSource) {}

  insert(entity: EntityTarget<ObjectLiteral>, row: ObjectLiteral): Statement {
    const pairs = this.#pairs(entity, row);
    const head = `INSERT INTO ${this.#table(entity)} (${pairs.map(([column]) => column).join(', ')}) VALUES (`;
    let text = this.#inserts.get(head);
    if (!text) this.#inserts.set(head, (text = [...pairs.map((_, i) => (i === 0 ? head : ', ')), ')']));
    return { text, values: pairs.map(([, value]) => value) };
  }

  update(entity: EntityTarget<ObjectLiteral>, set: ObjectLiteral, where: ObjectLiteral): Statement {
    const text = [`UPDATE ${this.#table(entity)} SET `];
    const values: unknown[] = [];
    this.#pairs(entity, set).forEach(([column, value], i) => {
      text[text.length - 1] += `${i ? ', ' : ''}${column} = `;
      values.push(value);
      text.push('');
    });
    this.#where(entity, where, text, values);
    return { text, values };
  }

  remove(entity: EntityTarget<ObjectLiteral>, where: ObjectLiteral): Statement {
    const text = [`DELETE FROM ${this.#table(entity)}`];
    const values: unknown[] = [];
    this.#where(entity, where, text, values);
    return { text, values };
  }

  /** SELECT of all columns of the rows that equal `where`. */
  lookUp(entity: EntityTarget<ObjectLiteral>, where: ObjectLiteral, how: 'first' | 'all'): Statement {
    const { columns, tableName } = this.source.getMetadata(entity);
    const pairs = this.#pairs(entity, where);
    const key = `${how} ${tableName} ${pairs.map(([column, value]) => (value === null ? `${column}?` : column)).join()}`;
    let text = this.#lookUps.get(key);
    if (!text) {
      const parts = [`SELECT ${columns.map(({ databaseName }) => `"${databaseName}"`).join(', ')} FROM "${tableName}"`];
      this.#where(entity, where, parts, []);
      if (how === 'first') parts[parts.length - 1] += ' LIMIT 1';
      this.#lookUps.set(key, (text = parts));
    }
    return { text, values: pairs.map(([, value]) => value).filter((value) => value !== null) };
  }

  /** An instance of the entity from a row of its table. */
  hydrate(entity: EntityTarget<ObjectLiteral>, row: Record<string, unknown>): ObjectLiteral {
    const metadata = this.source.getMetadata(entity);
    const made = metadata.create() as Record<string, unknown>;
    for (const { propertyName, databaseName, transformer, type } of metadata.columns) {
      const stored = row[databaseName];
      const plain = type === 'boolean' && typeof stored === 'number' ? stored === 1 : stored;
      made[propertyName] = transformer && !Array.isArray(transformer) ? (transformer.from(plain) as unknown) : plain;
    }
    return made;
  }

  #table(entity: EntityTarget<ObjectLiteral>): string {
    return `"${this.source.getMetadata(entity).tableName}"`;
  }

  /** Quoted column names with stored values; members that are undefined do not count. */
  #pairs(entity: EntityTarget<ObjectLiteral>, row: ObjectLiteral): [string, unknown][] {
    const columns = this.#columns(entity);
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

  #columns(entity: EntityTarget<ObjectLiteral>): ReadonlyMap<string, Column> {
    let columns = this.#columnsOf.get(entity);
    if (!columns) {
      columns = new Map(this.source.getMetadata(entity).columns.map((column) => [column.propertyName, column]));
      this.#columnsOf.set(entity, columns);
    }
    return columns;
  }

  #where(entity: EntityTarget<ObjectLiteral>, where: ObjectLiteral, text: string[], values: unknown[]): void {
    const pairs = this.#pairs(entity, where);
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

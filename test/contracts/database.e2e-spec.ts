import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EventRow } from '../../src/audit/event.entity.js';
import { Events } from '../../src/audit/events.js';
import { readEnvironment } from '../../src/config/environment.js';
import { Database } from '../../src/persistence/database.js';
import { CommitConflict, DuplicateRow } from '../../src/persistence/faults.js';
import { expecting, sql } from '../../src/persistence/statement.js';
import { migrate } from '../../src/persistence/migrate.js';
import { openDatabase } from '../../src/persistence/open.js';
import { providerKinds } from '../../src/providers/providers.js';
import { databases, type TestDatabase } from '../databases.js';

describe.each(databases())('the database on $name', (kind) => {
  let place: TestDatabase;
  let database: Database;
  let events: Events;

  beforeAll(async () => {
    place = await kind.create();
    const env = {
      GATEHOUSE_DATABASE_URL: place.url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_STATIC_TOKEN_TOKENS: '{}',
    };
    const source = await openDatabase(readEnvironment(env, { cwd: '/nonexistent', kinds: providerKinds }).settings);
    await migrate(source);
    database = new Database(source);
    events = new Events(database);
  });
  afterAll(async () => {
    await database.onApplicationShutdown();
    await place.drop();
  });

  const countOf = async (type: string): Promise<number> =>
    (await database.row<{ n: number }>(sql`SELECT COUNT(*) AS n FROM event WHERE type = ${type}`))!.n;

  it('commits all statements and says how many rows each touched', async () => {
    const affected = await database.commit([
      events.record({ type: 'a.one' }),
      events.record({ type: 'a.one' }),
      sql`UPDATE event SET ip = ${'::1'} WHERE type = ${'a.one'}`,
    ]);
    expect(affected).toEqual([1, 1, 2]);
  });

  it('commits none when one touches another number of rows than expected', async () => {
    const conflict = database.commit([
      events.record({ type: 'b.one' }),
      expecting(1, sql`UPDATE event SET ip = ${'x'} WHERE id = ${'absent'}`),
    ]);
    await expect(conflict).rejects.toThrow(CommitConflict);
    await expect(conflict).rejects.toMatchObject({ index: 1, affected: 0 });
    expect(await countOf('b.one')).toBe(0);
  });

  it('commits none when one violates a key, and stays usable', async () => {
    await database.commit([database.insert(EventRow, { id: 'same', at: 1, type: 'c.one', outcome: 'ok' })]);
    await expect(
      database.commit([
        events.record({ type: 'c.two' }),
        database.insert(EventRow, { id: 'same', at: 1, type: 'c.one', outcome: 'ok' }),
      ]),
    ).rejects.toThrow(DuplicateRow);
    expect(await countOf('c.two')).toBe(0);
    await database.commit([events.record({ type: 'c.two' })]);
    expect(await countOf('c.two')).toBe(1);
  });

  it('twenty commits at once that take one row: one wins', async () => {
    await database.commit([database.insert(EventRow, { id: 'race', at: 1, type: 'd.one', outcome: 'ok' })]);
    const take = (i: number) =>
      database.commit([expecting(1, sql`UPDATE event SET ip = ${String(i)} WHERE id = ${'race'} AND ip IS NULL`)]);
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => take(i)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(CommitConflict);
  });

  it('reads back what it wrote: JSON as JSON, times as numbers', async () => {
    const at = 1_763_856_000_123;
    await database.commit([
      database.insert(EventRow, { id: 'typed', at, type: 'e.one', outcome: 'ok', detail: { deep: ['é', 1] } }),
    ]);
    const row = await database.repository(EventRow).findOneByOrFail({ id: 'typed' });
    expect(row).toMatchObject({ at, detail: { deep: ['é', 1] }, userId: null });
    expect(await database.row(sql`SELECT at FROM event WHERE id = ${'typed'}`)).toEqual({ at });
  });

  it('refuses an update without a condition', () => {
    expect(() => database.update(EventRow, { ip: 'x' }, {})).toThrow('without a condition');
  });

  it('every migration goes down and up again', async () => {
    const count = database.source.migrations.length;
    for (let i = 0; i < count; i++) await database.source.undoLastMigration({ transaction: 'each' });
    const tables =
      kind.name === 'sqlite'
        ? sql`SELECT name FROM sqlite_master WHERE type = 'table'`
        : sql`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`;
    const left = (await database.rows<{ name: string }>(tables))
      .map(({ name }) => name)
      .filter((name) => !/^sqlite_|^gatehouse_migration$|^typeorm_metadata$/.test(name));
    expect(left).toEqual([]);
    expect(await migrate(database.source)).toHaveLength(count);
    expect(await migrate(database.source)).toEqual([]);
  });

  it('entities and migrated tables agree', async () => {
    const { upQueries } = await database.source.driver.createSchemaBuilder().log();
    const added = upQueries
      .map(({ query }) => query)
      .filter(
        (query) =>
          /ADD COLUMN|ADD "|CREATE TABLE "(?!temporary_)|DROP COLUMN/.test(query) && !/typeorm_metadata/.test(query),
      );
    expect(added).toEqual([]);
  });
});

it('what was deleted cannot be read in the SQLite file', async () => {
  const place = await databases()[0]!.create();
  const open = async () => {
    const env = { GATEHOUSE_DATABASE_URL: place.url, GATEHOUSE_SECRET: randomBytes(32).toString('base64') };
    return new Database(
      await openDatabase(readEnvironment(env, { cwd: '/nonexistent', kinds: providerKinds }).settings),
    );
  };
  const bytes = () => readFile(place.url.replace('sqlite:', ''), 'latin1');
  const words = (n: number) => `a secret hobby, number ${n}`;
  let database = await open();
  await migrate(database.source);
  await database.commit(
    Array.from({ length: 200 }, (_, n) =>
      database.insert(EventRow, { id: String(n), at: 1, type: 'e.one', outcome: 'ok', detail: { words: words(n) } }),
    ),
  );
  await database.onApplicationShutdown();
  expect(await bytes()).toContain('a secret hobby');
  database = await open();
  await database.commit([sql`DELETE FROM event`]);
  await database.onApplicationShutdown();
  expect(await bytes()).not.toContain('a secret hobby');
  await place.drop();
});

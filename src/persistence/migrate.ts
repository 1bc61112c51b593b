import type { DataSource } from 'typeorm';
import { DatabaseUnusable } from './open.js';

/** Runs pending migrations, each in its own transaction. @returns their names */
export async function migrate(source: DataSource): Promise<string[]> {
  const done = await source.runMigrations({ transaction: 'each' });
  return done.map(({ name }) => name);
}

/**
 * Makes the schema fit before the start: on SQLite by running pending migrations; on Postgres, where several nodes share it, only by checking.
 * @throws DatabaseUnusable when Postgres has pending migrations
 */
export async function prepareSchema(source: DataSource): Promise<void> {
  if (source.options.type !== 'postgres') {
    await migrate(source);
    return;
  }
  if (await source.showMigrations())
    throw new DatabaseUnusable(
      'database: migrations are pending; run `gatehouse migrate`, or start with `gatehouse serve --migrate`',
    );
}

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

/** A database of its own for one suite. */
export interface TestDatabase {
  /** For `GATEHOUSE_DATABASE_URL`. */
  readonly url: string;
  drop(): Promise<void>;
}

/** A kind of database that a suite runs on. */
export interface TestDatabaseKind {
  readonly name: 'sqlite' | 'postgres';
  create(): Promise<TestDatabase>;
}

const sqlite: TestDatabaseKind = {
  name: 'sqlite',
  async create() {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-'));
    return {
      url: `sqlite:${join(folder, 'gatehouse.sqlite')}`,
      drop: () => rm(folder, { recursive: true, force: true }),
    };
  },
};

function postgres(server: string): TestDatabaseKind {
  const run = async (text: string): Promise<void> => {
    const client = new pg.Client(server);
    await client.connect();
    await client.query(text).finally(() => client.end());
  };
  return {
    name: 'postgres',
    async create() {
      const name = `gatehouse_${randomBytes(6).toString('hex')}`;
      await run(`CREATE DATABASE ${name}`);
      const url = new URL(server);
      url.pathname = `/${name}`;
      return { url: url.href, drop: () => run(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
    },
  };
}

/** SQLite always; Postgres too where `GATEHOUSE_TEST_POSTGRES` names a server on which databases may be made. */
export function databases(): TestDatabaseKind[] {
  const server = process.env['GATEHOUSE_TEST_POSTGRES'];
  return server ? [sqlite, postgres(server)] : [sqlite];
}

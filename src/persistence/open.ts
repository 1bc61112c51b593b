import { accessSync, closeSync, constants, existsSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Database as SqliteHandle } from 'better-sqlite3';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { Settings } from '../config/settings.js';
import { makeFolder } from './folder.js';
import { keepStatements } from './kept-statements.js';
import { sqliteFile } from './root-key.js';
import { entities, migrations } from './schema.js';

/** The database cannot be opened or written; one line for the operator. */
export class DatabaseUnusable extends Error {
  override readonly name = 'DatabaseUnusable';
}

/**
 * Connects, on SQLite with WAL, foreign keys, `synchronous=FULL` and a short busy timeout (a long one blocks the event loop; `commit` waits instead).
 * @throws DatabaseUnusable naming the file or server and the reason
 */
export async function openDatabase(settings: Settings): Promise<DataSource> {
  const url = settings.values.databaseUrl;
  const shared = {
    entities: [...entities],
    migrations: [...migrations],
    migrationsTableName: 'gatehouse_migration',
    synchronize: false,
  };
  if (!url.startsWith('sqlite:')) {
    const source = new DataSource({
      ...shared,
      type: 'postgres',
      url,
      applicationName: 'gatehouse',
      extra: { max: 20, connectionTimeoutMillis: 2000, query_timeout: 10_000, types: { getTypeParser } },
    });
    return connect(source, `Postgres at ${new URL(url).host}`);
  }
  const file = sqliteFile(settings);
  if (file !== null) assertWritable(file);
  const source = new DataSource({
    ...shared,
    type: 'better-sqlite3',
    database: file ?? ':memory:',
    enableWAL: file !== null,
    timeout: 50,
    prepareDatabase: (handle: SqliteHandle) => {
      keepStatements(handle);
      handle.pragma('synchronous = FULL');
      // What was erased must not be readable in the free pages of the file.
      handle.pragma('secure_delete = ON');
      // A checkpoint writes each changed page once, however often it changed: 16 MB of WAL instead of 4 means fewer writes.
      handle.pragma('wal_autocheckpoint = 4000');
    },
  });
  return connect(source, file ?? 'the in-memory database');
}

async function connect(source: DataSource, what: string): Promise<DataSource> {
  try {
    return await source.initialize();
  } catch (cause) {
    throw new DatabaseUnusable(`database: cannot open ${what}: ${reasonOf(cause)}`, { cause });
  }
}

/** A file made here is its owner's alone, and SQLite gives its `-wal` and `-shm` the same mode; one that exists keeps the mode it was given. */
function assertWritable(file: string): void {
  try {
    makeFolder(dirname(file));
    accessSync(dirname(file), constants.W_OK | constants.X_OK);
    if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600));
  } catch (cause) {
    throw new DatabaseUnusable(`database: cannot write ${file}: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  const error = cause as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] };
  const message = error.message || error.errors?.[0]?.message || String(cause);
  if (error.code === 'SQLITE_NOTADB' || error.code === 'SQLITE_CORRUPT')
    return `${message}. Restore the file from a backup; Gatehouse never replaces it by an empty one`;
  return message;
}

/** int8 as number (epoch seconds and counts fit), everything else as the driver does it. */
function getTypeParser(oid: Parameters<typeof pg.types.getTypeParser>[0], format?: 'text'): unknown {
  return oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format);
}

import type { Database as SqliteHandle, Statement } from 'better-sqlite3';

/** Every handle of this process with its statements, for as long as the process lives. */
const kept = new Map<SqliteHandle, Map<string, Statement>>();

/**
 * Keeps a SQLite handle and its statements from ever being collected as garbage; a text is prepared once.
 * Since Node 24.19 the base class that better-sqlite3 12 builds on aborts the process when such an object is collected between two callbacks, outside
 * of JavaScript. Version 13 is free of that and does not run on Node 20. What is kept is bounded by the number of different SQL texts.
 */
export function keepStatements(handle: SqliteHandle): void {
  const statements = new Map<string, Statement>();
  const prepare = handle.prepare.bind(handle) as (text: string) => Statement;
  const once = (text: string): Statement => {
    let statement = statements.get(text);
    if (!statement) {
      statement = prepare(text);
      statements.set(text, statement);
    }
    return statement;
  };
  kept.set(handle, statements);
  Object.assign(handle, {
    prepare: once,
    // The package's own makes a statement that nobody holds.
    pragma: (text: string): unknown => {
      const statement = once(`PRAGMA ${text}`);
      return statement.reader ? statement.all() : statement.run();
    },
  });
}

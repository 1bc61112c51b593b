/** The database could not be asked or written: the caller answers 503 with `Retry-After`, credentials stay good. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
  /** Seconds. */
  readonly retryAfter = 2;
  constructor(cause: unknown) {
    super('the database is out of reach', { cause });
  }
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

/** A unique or primary key already holds such a row; nothing was written. */
export class DuplicateRow extends Error {
  override readonly name = 'DuplicateRow';
  constructor(cause: unknown) {
    super('a row with this key exists', { cause });
  }
}

const codeOf = (error: unknown): string => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
};

/** Another process holds SQLite's write lock. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED');
}

/** Worth the same transaction again: serialization failure or deadlock (Postgres 40001, 40P01). */
export function isTransient(error: unknown): boolean {
  return ['40001', '40P01'].includes(codeOf(error));
}

/** A unique or primary key is taken (Postgres 23505). */
export function isConstraint(error: unknown): boolean {
  return ['23505', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'].includes(codeOf(error));
}

/** Not reachable, starting, stopping, full, or not writable. */
export function isOutOfReach(error: unknown): boolean {
  const code = codeOf(error);
  if (/^(ECONN|ENOTFOUND|ETIMEDOUT|EPIPE|EAI_|ENOENT)/.test(code)) return true;
  if (/^(08|53|57P|58)/.test(code) || code === '25006') return true;
  if (/^SQLITE_(FULL|IOERR|READONLY|CANTOPEN)/.test(code)) return true;
  const message = error instanceof Error ? error.message : '';
  return /timeout exceeded when trying to connect|Connection terminated|query timeout|query_timeout|Query read timeout|not queryable/i.test(
    message,
  );
}

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Settings } from '../config/settings.js';
import { makeFolder } from './folder.js';

/**
 * The root keys: `GATEHOUSE_SECRET`, or with SQLite a key made once and kept as `secret` (mode 0600) beside the database file.
 * An in-memory database gets a key of its own each time.
 */
export function rootKeys(settings: Settings): readonly string[] {
  if (settings.values.secret) return settings.values.secret;
  const file = sqliteFile(settings);
  if (file === null) return [randomBytes(32).toString('base64')];
  const path = join(dirname(file), 'secret');
  makeFolder(dirname(path));
  try {
    writeFileSync(path, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const keys = readFileSync(path, 'utf8').trim().split(',');
  if (!keys.every((key) => Buffer.from(key, 'base64').length >= 32))
    throw new Error(`${path} holds no key of 32 bytes in base64: restore it from a backup`);
  return keys;
}

/** Absolute path of the SQLite file; null: in memory, or not SQLite. */
export function sqliteFile(settings: Settings): string | null {
  const url = settings.values.databaseUrl;
  if (!url.startsWith('sqlite:') || url === 'sqlite::memory:') return null;
  return resolve(settings.cwd, url.slice('sqlite:'.length).replace(/^\/\//, ''));
}

import { z } from 'zod';
import type { Key } from '../persistence/keyset.js';
import { sha256 } from '../protocol/token.js';
import { Problem } from './problem.js';

const byId = z.tuple([z.string()]);
const byTime = z.tuple([z.int(), z.string()]);

/** What each list is ordered by: a made-up cursor must not reach a query with other values than it compares. */
const ORDERS = {
  users: byId,
  clients: byTime,
  grants: byTime,
  tokens: byId,
  events: byId,
  flows: byId,
  providers: byId,
  keys: byId,
} as const;

/** A list that is read page by page. */
export type ListName = keyof typeof ORDERS;

/** Where the next page of a list begins, as an opaque word. */
export function writeCursor(list: ListName, key: Key): string {
  const text = JSON.stringify(key);
  return Buffer.from(`${checksum(list, text)}${text}`).toString('base64url');
}

/** @throws Problem 400: made up, garbled, or of another list */
export function readCursor(list: ListName, cursor: string | undefined): Key | null {
  if (cursor === undefined) return null;
  const plain = Buffer.from(cursor, 'base64url').toString('utf8');
  const text = plain.slice(8);
  if (plain.slice(0, 8) !== checksum(list, text)) throw odd();
  const key = ORDERS[list].safeParse(JSON.parse(text));
  if (!key.success) throw odd();
  return key.data;
}

/** A page of a list that is short enough to be read whole. @throws Problem 400: the cursor is odd, or its item is gone */
export function pageOfWhole<Item>(
  list: ListName,
  items: readonly Item[],
  { idOf, limit, cursor }: { idOf: (item: Item) => string; limit: number; cursor: string | undefined },
): { items: Item[]; next_cursor: string | null } {
  const after = readCursor(list, cursor);
  const from = after === null ? 0 : items.findIndex((item) => idOf(item) === after[0]) + 1;
  if (after !== null && from === 0) throw odd();
  const page = items.slice(from, from + limit);
  const last = page.at(-1);
  return { items: page, next_cursor: last && from + limit < items.length ? writeCursor(list, [idOf(last)]) : null };
}

// No secret: a cursor grants nothing. The checksum keeps what was garbled or made up from becoming a strange page.
function checksum(list: ListName, text: string): string {
  return sha256(`cursor:${list}:${text}`).slice(0, 8);
}

function odd(): Problem {
  return new Problem(400, 'The cursor is not one of this list.', {
    faults: [{ at: 'query.cursor', message: 'is not one of this list' }],
  });
}

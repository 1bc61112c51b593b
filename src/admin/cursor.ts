import type { Key } from '../persistence/keyset.js';
import { sha256 } from '../protocol/token.js';
import { Problem } from './problem.js';

/** Where the next page of a list begins, as an opaque word. */
export function writeCursor(list: string, key: Key): string {
  const text = JSON.stringify(key);
  return Buffer.from(`${checksum(list, text)}${text}`).toString('base64url');
}

/** @throws Problem 400: made up, garbled, or of another list */
export function readCursor(list: string, cursor: string | undefined): Key | null {
  if (cursor === undefined) return null;
  const plain = Buffer.from(cursor, 'base64url').toString('utf8');
  const text = plain.slice(8);
  if (plain.slice(0, 8) !== checksum(list, text)) throw odd();
  return JSON.parse(text) as Key;
}

// No secret: a cursor grants nothing. The checksum keeps what was garbled or made up from becoming a strange page.
function checksum(list: string, text: string): string {
  return sha256(`cursor:${list}:${text}`).slice(0, 8);
}

function odd(): Problem {
  return new Problem(400, 'The cursor is not one of this list.', {
    faults: [{ at: 'query.cursor', message: 'is not one of this list' }],
  });
}

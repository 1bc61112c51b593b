import { sha256 } from '../protocol/token.js';
import { Problem } from './problem.js';

/** The entity tag (RFC 9110 §8.8.3) of what an administrator may change of something. */
export function etagOf(changeable: unknown): string {
  return `"${sha256(JSON.stringify(changeable)).slice(0, 22)}"`;
}

/**
 * An update names the version it was made for, so that of two administrators the second does not undo the first unseen (RFC 9110 §13.1.1).
 * @throws Problem 428 without `If-Match`, 412 when it names another version
 */
export function requireMatch(ifMatch: string | undefined, current: string): void {
  if (ifMatch === undefined)
    throw new Problem(428, 'Send If-Match with the ETag of the version that you want to change.');
  const tags = ifMatch.split(',').map((tag) => tag.trim());
  if (!tags.includes('*') && !tags.includes(current)) throw changedMeanwhile();
}

/** The same where `If-Match` is up to the caller (RFC 9110 §13.1.1). @throws Problem 412 */
export function allowMatch(ifMatch: string | undefined, current: string): void {
  if (ifMatch !== undefined) requireMatch(ifMatch, current);
}

/** Somebody else changed it first. */
export function changedMeanwhile(): Problem {
  return new Problem(412, 'It has changed since; read it again.');
}

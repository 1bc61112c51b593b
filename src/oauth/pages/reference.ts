import { randomBytes } from 'node:crypto';
import { sha256 } from '../../protocol/token.js';

/** The reference id of an Interaction: the same on every page, in every log line and Event of this sign-in, and no way back to its uid. */
export function referenceOf(uid: string): string {
  return Buffer.from(sha256(`reference:${uid}`), 'base64url').toString('hex', 0, 6);
}

/** A reference id for what belongs to no Interaction. */
export function newReference(): string {
  return randomBytes(6).toString('hex');
}

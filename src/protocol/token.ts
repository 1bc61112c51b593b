import { createHash, randomBytes } from 'node:crypto';

/** What our own bearer values begin with: access token, refresh token, personal token. */
export type TokenPrefix = 'gth_at_' | 'gth_rt_' | 'gth_pat_';

/** Prefix, 256 bits in base64url, six characters of checksum. */
const FORM = /^(gth_(?:at|rt|pat)_)([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})$/;

/** A new bearer value: 256 random bits behind a prefix, ended by a checksum with which secret scanners tell real ones from lookalikes. */
export function mintToken(prefix: TokenPrefix): string {
  const body = `${prefix}${randomBytes(32).toString('base64url')}`;
  return body + checksum(body);
}

/** Has the form of a token of ours, checksum included; says nothing about whether it is valid. */
export function isWellFormed(token: string): boolean {
  const match = FORM.exec(token);
  return match !== null && checksum(token.slice(0, -6)) === match[3];
}

/** SHA-256 in base64url: the only form in which a bearer value is stored or used as a key. */
export function sha256(value: string): string {
  return createHash('sha256').update(value).digest('base64url');
}

function checksum(body: string): string {
  return sha256(`checksum:${body}`).slice(0, 6);
}

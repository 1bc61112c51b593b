import { createHash, randomBytes } from 'node:crypto';

/** 256 random bits in base64url: codes, tokens and secrets of the fakes. */
export function randomText(): string {
  return randomBytes(32).toString('base64url');
}

/** RFC 7636 §4.6 for S256. */
export function provesChallenge(verifier: string | null, challenge: string): boolean {
  return verifier !== null && createHash('sha256').update(verifier).digest('base64url') === challenge;
}

import { describe, expect, it } from 'vitest';
import { isWellFormed, mintToken, sha256 } from './token.js';

describe('our own bearer values', () => {
  it('sec-27: are 256 random bits behind a prefix, ended by a checksum', () => {
    const token = mintToken('gth_pat_');
    expect(token).toMatch(/^gth_pat_[A-Za-z0-9_-]{49}$/);
    expect(isWellFormed(token)).toBe(true);
    expect(mintToken('gth_pat_')).not.toBe(token);
  });

  it.each([
    ['another character', (token: string) => `${token.slice(0, 20)}${token[20] === 'A' ? 'B' : 'A'}${token.slice(21)}`],
    ['another prefix', (token: string) => token.replace('gth_at_', 'gth_rt_')],
    ['a cut end', (token: string) => token.slice(0, -1)],
    ['nothing', () => ''],
  ])('with %s are not well-formed', (_, alter) => {
    expect(isWellFormed(alter(mintToken('gth_at_')))).toBe(false);
  });

  it('are kept as SHA-256 in base64url', () => {
    expect(sha256('abc')).toBe('ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0');
  });
});

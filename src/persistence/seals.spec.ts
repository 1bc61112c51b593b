import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SealBroken, Seals } from './seals.js';

const key = (): string => randomBytes(32).toString('base64');

describe('seals', () => {
  it('open what they sealed, and never seal the same text alike', () => {
    const seals = new Seals([key()]);
    const envelope = seals.seal('a token', 'upstream');
    expect(envelope).not.toContain('a token');
    expect(seals.seal('a token', 'upstream')).not.toBe(envelope);
    expect(seals.open(envelope, 'upstream')).toBe('a token');
  });

  it('do not open for another purpose, altered bytes or another installation', () => {
    const seals = new Seals([key()]);
    const envelope = seals.seal('a token', 'upstream');
    const [version, id, iv, sealed] = envelope.split('.');
    const flipped = Buffer.from(sealed!, 'base64url');
    flipped[0]! ^= 1;
    expect(() => seals.open(envelope, 'signing-key')).toThrow(SealBroken);
    expect(() => seals.open([version, id, iv, flipped.toString('base64url')].join('.'), 'upstream')).toThrow(
      SealBroken,
    );
    expect(() => new Seals([key()]).open(envelope, 'upstream')).toThrow(SealBroken);
  });

  it('survive a rotation of the root key: the first seals, all open', () => {
    const [old, fresh] = [key(), key()];
    const envelope = new Seals([old]).seal('a token', 'upstream');
    const rotated = new Seals([fresh, old]);
    expect(rotated.open(envelope, 'upstream')).toBe('a token');
    expect(rotated.isStale(envelope)).toBe(true);
    expect(rotated.isStale(rotated.seal('a token', 'upstream'))).toBe(false);
    expect(rotated.keys('cookies')[1]).toEqual(new Seals([old]).key('cookies'));
  });
});

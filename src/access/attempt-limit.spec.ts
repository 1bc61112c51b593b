import { expect, it } from 'vitest';
import { AttemptLimit } from './attempt-limit.js';

it('counts attempts of each key by itself and begins anew when the stretch is over', () => {
  let now = 0;
  const limit = new AttemptLimit({ max: 2, seconds: 60, now: () => now });
  expect([limit.count('a'), limit.count('a'), limit.count('b')]).toEqual([null, null, null]);
  expect(limit.wait('a')).toBe(60);
  expect(limit.wait('b')).toBeNull();
  now = 20_000;
  expect(limit.count('a')).toBe(40);
  now = 60_000;
  expect(limit.wait('a')).toBeNull();
  expect(limit.count('a')).toBeNull();
});

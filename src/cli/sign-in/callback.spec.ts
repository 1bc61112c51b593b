import { expect, it } from 'vitest';
import { Callback } from './callback.js';

it('gives the answer of its own sign-in, and no other', async () => {
  const callback = await Callback.listen(null);
  const answer = callback.wait('mine', 60);
  expect((await fetch(`${callback.redirectUri}?code=a&state=theirs`)).status).toBe(400);
  expect((await fetch(`${callback.redirectUri}?code=a`)).status).toBe(400);
  expect((await fetch(callback.redirectUri.replace('127.0.0.1', 'localhost') + '?code=a&state=mine')).status).toBe(404);
  expect((await fetch(new URL('/favicon.ico', callback.redirectUri))).status).toBe(404);
  expect((await fetch(`${callback.redirectUri}?code=b&state=mine`)).status).toBe(200);
  expect((await answer).get('code')).toBe('b');
  expect((await fetch(`${callback.redirectUri}?code=c&state=mine`)).status).toBe(400);
  await callback.close();
});

it('gives up when nobody comes', async () => {
  const callback = await Callback.listen(null);
  await expect(callback.wait('mine', 0.01)).rejects.toThrow('nobody signed in within');
  await callback.close();
});

it('takes the port of before again, or another when that is taken', async () => {
  const first = await Callback.listen(null);
  const second = await Callback.listen(first.redirectUri);
  expect(second.redirectUri).not.toBe(first.redirectUri);
  await first.close();
  const third = await Callback.listen(first.redirectUri);
  expect(third.redirectUri).toBe(first.redirectUri);
  await second.close();
  await third.close();
});

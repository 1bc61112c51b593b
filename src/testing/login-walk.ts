import assert from 'node:assert/strict';
import type { LoginProvider } from '../providers/contract.js';

/** The callback URL that the cases register. */
export const CALLBACK = new URL('http://localhost:8000/callback/under-test');
/** The `state` that the cases send. */
export const STATE = 'state-of-the-house';

/** From `start` through the fake's authorize page to the callback URL the browser would request. */
export async function begin(provider: LoginProvider): Promise<{ callback: URL; memo: Record<string, string> }> {
  const { url, memo } = await provider.start({ state: STATE, callbackUrl: CALLBACK, scopes: [] });
  const answer = await fetch(url, { redirect: 'manual' });
  await answer.arrayBuffer();
  assert.ok(
    answer.status === 302 || answer.status === 303,
    `the fake answered ${answer.status} to the authorization request`,
  );
  return { callback: new URL(answer.headers.get('location') ?? ''), memo };
}

/** A whole sign-in. */
export async function signIn(provider: LoginProvider): ReturnType<LoginProvider['finish']> {
  const { callback, memo } = await begin(provider);
  return provider.finish(callback, memo, CALLBACK);
}

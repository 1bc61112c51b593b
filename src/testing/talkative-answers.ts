import type { FakeAnswer } from './fake-server.js';

/** What no upstream may get into our log by writing it into an answer. */
export const UPSTREAM_TEXT = 'call 555-1234';

/** Failures that carry text of the upstream in every place where packages look for some. */
export function talkative(): FakeAnswer[] {
  const text = UPSTREAM_TEXT;
  const described = { error: 'invalid_client', error_description: text, error_uri: text, message: text };
  return [
    ...[200, 400, 401, 403, 404, 500].map((status) => ({ status, body: described })),
    {
      status: 401,
      headers: { 'www-authenticate': `Bearer error="invalid_token", error_description="${text}"` },
      body: described,
    },
    ...[400, 401].map((status) => ({ status, body: { error: text, error_description: text } })),
    ...[400, 401].map((status) => ({ status, body: { error: { message: text, code: text, status: text } } })),
    { status: 200, body: `{"access_token": ${text}` },
    { status: 200, body: text },
    { status: 401, body: text },
  ];
}

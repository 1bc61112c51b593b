import assert from 'node:assert/strict';
import { UpstreamUnavailable } from '../providers/contract.js';
import type { FakeAnswer } from './fake-server.js';
import type { ContractCase, Scenes } from './login-scenes.js';
import { begin, CALLBACK } from './login-walk.js';

/** What a front end in maintenance answers. */
export const HTML = { status: 200, body: '<!doctype html><title>Maintenance</title>' };
const COMMON_FAULTS: Readonly<Record<string, FakeAnswer>> = {
  'says null': { status: 200, body: null },
  'says HTML with 200': HTML,
  'says nothing with 200': { status: 200, body: '' },
  'says a JSON list': { status: 200, body: [] },
  'is silent': 'hang',
  'cuts the connection': 'reset',
  'sends 50 MB': 'flood',
  'says 500': { status: 500, body: 'oops' },
  'says 503 with problem+json': {
    status: 503,
    headers: { 'content-type': 'application/problem+json' },
    body: '{"title":"down"}',
  },
  'says 429': { status: 429, headers: { 'retry-after': '30' }, body: { message: 'slow down' } },
  'says 403 as a rate limit': {
    status: 403,
    headers: { 'x-ratelimit-remaining': '0' },
    body: { message: 'rate limit' },
  },
  'redirects with 302': { status: 302, headers: { location: '/elsewhere' }, body: '' },
  'redirects with 301': { status: 301, headers: { location: '/elsewhere' }, body: '' },
};
/** What a token endpoint can do wrong. */
export const TOKEN_FAULTS: Readonly<Record<string, FakeAnswer>> = {
  ...COMMON_FAULTS,
  'says an error with 200': { status: 200, body: { error: 'bad_verification_code', error_description: 'no' } },
  'says an error with 200 as a form': {
    status: 200,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'error=bad_verification_code&error_description=no',
  },
  'says invalid_code with 403': { status: 403, body: { error: 'invalid_code' } },
  'says 401 with an empty body': { status: 401, body: '' },
  'says no access_token': { status: 200, body: { token_type: 'bearer' } },
  'says a number for access_token': { status: 200, body: { token_type: 'bearer', access_token: 17 } },
};
/** What a profile endpoint can do wrong. */
export const PROFILE_FAULTS: Readonly<Record<string, FakeAnswer>> = {
  ...COMMON_FAULTS,
  'says 401 with an empty body': { status: 401, body: '' },
};

/** Each fault at one endpoint ends in `UpstreamUnavailable`, and the next sign-in works. */
export function faultCases(
  scene: Scenes,
  route: 'token' | 'profile',
  faults: Readonly<Record<string, FakeAnswer>>,
): ContractCase[] {
  const cases = Object.entries(faults).map(([name, answer]) =>
    scene(`the ${route} endpoint ${name}: try again`, async ({ provider, fake, fixture, house }) => {
      const { callback, memo } = await begin(provider);
      fake.fault(fixture.routes[route], answer);
      if (answer === 'hang') house.hurry(300);
      await assert.rejects(provider.finish(callback, memo, CALLBACK), UpstreamUnavailable);
      assert.ok(!fake.requests.some(({ url }) => url.pathname === '/elsewhere'), 'a redirect was followed');
    }),
  );
  if (route === 'token') return cases;
  return [
    ...cases,
    scene('a profile without a stable subject signs nobody in', async ({ provider, fake, fixture }) => {
      for (const profile of fixture.unusableProfiles) {
        const { callback, memo } = await begin(provider);
        fake.fault(fixture.routes.profile, { status: 200, body: profile });
        await assert.rejects(provider.finish(callback, memo, CALLBACK), UpstreamUnavailable, JSON.stringify(profile));
        fake.mend();
      }
    }),
  ];
}

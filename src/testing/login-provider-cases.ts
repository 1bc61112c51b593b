import assert from 'node:assert/strict';
import {
  type Identifies,
  type LoginProvider,
  LoginRefused,
  type ProviderHouse,
  type RefreshesUpstreamTokens,
  type RevokesUpstreamTokens,
  UpstreamGrantDead,
  UpstreamUnavailable,
} from '../providers/contract.js';
import type { FakeAnswer, FakeServer } from './fake-server.js';
import { testHouse, type TestHouse } from './house.js';
import { talkative, UPSTREAM_TEXT } from './talkative-answers.js';

/** A login provider beside the fake it signs in at. The fake answers its authorize page with a redirect at once. */
export interface LoginFixture {
  readonly fake: FakeServer;
  /** For example `POST /token` and `GET /userinfo`. */
  readonly routes: { readonly token: string; readonly profile: string };
  create(
    house: ProviderHouse,
    options?: { id?: string; wrongSecret?: boolean },
  ): LoginProvider | Promise<LoginProvider>;
  /** Whom the fake signs in; e-mail verified. */
  readonly person: { readonly subject: string; readonly email: string };
  /** Profiles as the fake would answer them, but without a stable subject. */
  readonly unusableProfiles: readonly object[];
  /** The person's e-mail address is not verified from now on. */
  unverifyEmail(): void;
  /** Every token of the fake is dead from now on. */
  forgetTokens(): void;
  /** The fake's next tokens expire and can be refreshed; absent: this provider has no refresh. */
  readonly allowRefresh?: () => void;
  /** The refresh answer brings no new refresh token from now on. */
  readonly keepRefreshToken?: () => void;
}

/** One thing every login provider must do; `run` throws when it does not. Independent of any test runner. */
export interface ContractCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/** The callback URL that the cases register. */
export const CALLBACK = new URL('http://localhost:8000/callback/under-test');
const STATE = 'state-of-the-house';

interface Scene {
  readonly fixture: LoginFixture;
  readonly fake: FakeServer;
  readonly house: TestHouse;
  readonly provider: LoginProvider;
}

/**
 * What every login provider must withstand.
 * @example for (const { name, run } of loginProviderCases(open)) it(name, run);
 */
export function loginProviderCases(open: () => Promise<LoginFixture>): ContractCase[] {
  const scene = (name: string, play: (scene: Scene) => Promise<void>): ContractCase => ({
    name,
    run: async () => {
      const fixture = await open();
      const house = testHouse();
      try {
        await play({ fixture, fake: fixture.fake, house, provider: await fixture.create(house, { id: 'under-test' }) });
      } finally {
        await fixture.fake.close();
        await house.close();
      }
    },
  });
  return [
    ...happyCases(scene),
    ...callbackCases(scene),
    ...faultCases(scene, 'token', TOKEN_FAULTS),
    ...faultCases(scene, 'profile', PROFILE_FAULTS),
    ...powerCases(scene),
  ];
}

type Scenes = (name: string, play: (scene: Scene) => Promise<void>) => ContractCase;

function happyCases(scene: Scenes): ContractCase[] {
  return [
    scene('signs in with a stable subject and the verified e-mail', async ({ provider, fixture }) => {
      const { identity, tokens } = await signIn(provider);
      assert.equal(identity.provider, 'under-test');
      assert.equal(identity.subject, fixture.person.subject);
      assert.equal(identity.email, fixture.person.email);
      assert.ok(tokens.accessToken.length > 0);
    }),
    scene('sends state, the callback URL and an S256 challenge; the memo is flat text', async ({ provider }) => {
      const { url, memo } = await provider.start({ state: STATE, callbackUrl: CALLBACK, scopes: [] });
      assert.equal(url.searchParams.get('state'), STATE);
      assert.equal(url.searchParams.get('redirect_uri'), CALLBACK.href);
      assert.equal(url.searchParams.get('code_challenge_method'), 'S256');
      assert.match(url.searchParams.get('code_challenge') ?? '', /^[\w-]{43}$/);
      assert.ok(Object.values(memo).length > 0);
      for (const value of Object.values(memo)) assert.equal(typeof value, 'string');
      for (const value of Object.values(memo))
        assert.ok(!url.href.includes(value) || value === url.searchParams.get('nonce'));
    }),
    scene('asks for the scopes tools want besides its own', async ({ provider }) => {
      const plain = await provider.start({ state: STATE, callbackUrl: CALLBACK, scopes: [] });
      const wider = await provider.start({ state: STATE, callbackUrl: CALLBACK, scopes: ['calendar.read'] });
      const own = scopesOf(plain.url);
      assert.deepEqual(new Set(scopesOf(wider.url)), new Set([...own, 'calendar.read']));
    }),
    scene('two sign-ins at once end in any order, each with its own verifier', async ({ provider, fixture }) => {
      const [one, two] = await Promise.all([begin(provider), begin(provider)]);
      assert.notDeepEqual(one.memo, two.memo);
      const second = await provider.finish(two.callback, two.memo, CALLBACK);
      const first = await provider.finish(one.callback, one.memo, CALLBACK);
      assert.equal(first.identity.subject, fixture.person.subject);
      assert.equal(second.identity.subject, fixture.person.subject);
    }),
    scene('a code cannot be redeemed with the memo of another sign-in', async ({ provider }) => {
      const [one, two] = await Promise.all([begin(provider), begin(provider)]);
      await assert.rejects(provider.finish(one.callback, two.memo, CALLBACK), UpstreamUnavailable);
    }),
    scene('two instances of the kind do not see each other', async ({ provider, fixture, house }) => {
      const other = await fixture.create(house, { id: 'second-one' });
      const [one, two] = [await begin(provider), await begin(other)];
      assert.equal((await other.finish(two.callback, two.memo, CALLBACK)).identity.provider, 'second-one');
      assert.equal((await provider.finish(one.callback, one.memo, CALLBACK)).identity.provider, 'under-test');
    }),
    scene('an unverified e-mail address is none', async ({ provider, fixture }) => {
      fixture.unverifyEmail();
      assert.equal((await signIn(provider)).identity.email, undefined);
    }),
    scene(
      'a wrong client secret is our fault: try again, and the log names the variable',
      async ({ fixture, house }) => {
        const misconfigured = await fixture.create(house, { id: 'under-test', wrongSecret: true });
        await assert.rejects(signIn(misconfigured), UpstreamUnavailable);
        assert.ok(
          house.lines.some((line) => line.includes('GATEHOUSE_UNDER_TEST_CLIENT_SECRET')),
          house.lines.join('\n'),
        );
      },
    ),
    ...['token', 'profile'].map((route) =>
      scene(
        `sec-47: nothing the ${route} endpoint writes beyond an error code comes into errors or the log`,
        async ({ provider, fake, fixture, house }) => {
          for (const answer of talkative()) {
            const { callback, memo } = await begin(provider);
            fake.fault(fixture.routes[route as 'token' | 'profile'], answer);
            const error = await failureOf(provider.finish(callback, memo, CALLBACK));
            fake.mend();
            const said = [error.message, ...house.lines].join('\n');
            assert.ok(!said.includes(UPSTREAM_TEXT), `${JSON.stringify(answer)} came through: ${said}`);
          }
        },
      ),
    ),
    scene('sec-47: nor what refresh and identify are answered', async ({ provider, fake, fixture, house }) => {
      fixture.allowRefresh?.();
      const { tokens } = await signIn(provider);
      const powers = provider as Partial<RefreshesUpstreamTokens & Identifies>;
      for (const answer of talkative()) {
        for (const route of Object.values(fixture.routes)) fake.fault(route, answer);
        const errors = await Promise.all([
          powers.identify ? failureOf(powers.identify(tokens)) : null,
          powers.refresh ? failureOf(powers.refresh(tokens.refreshToken ?? 'none')) : null,
        ]);
        const said = [...errors.map((error) => error?.message), ...house.lines].join('\n');
        assert.ok(!said.includes(UPSTREAM_TEXT), `${JSON.stringify(answer)} came through: ${said}`);
      }
    }),
    scene(
      'sec-47: neither errors nor the log hold the code, the verifier or a token',
      async ({ provider, fake, fixture, house }) => {
        const { callback, memo } = await begin(provider);
        fake.fault(fixture.routes.profile, { status: 500, body: 'down' });
        const error = await failureOf(provider.finish(callback, memo, CALLBACK));
        const said = [error.message, ...house.lines].join('\n');
        for (const secret of [callback.searchParams.get('code') ?? '', ...Object.values(memo)])
          assert.ok(secret === '' || !said.includes(secret), 'a secret was written down');
      },
    ),
  ];
}

/** @throws AssertionError it did not fail */
async function failureOf(asked: Promise<unknown>): Promise<Error> {
  return asked.then(
    () => assert.fail('an upstream error was overlooked'),
    (error: Error) => error,
  );
}

function callbackCases(scene: Scenes): ContractCase[] {
  const refusedBeforeAsking = (name: string, spoil: (callback: URL) => void): ContractCase =>
    scene(name, async ({ provider, fake, fixture }) => {
      const { callback, memo } = await begin(provider);
      spoil(callback);
      await assert.rejects(provider.finish(callback, memo, CALLBACK), UpstreamUnavailable);
      assert.equal(fake.count(fixture.routes.token), 0);
    });
  return [
    scene('access_denied: the person said no, in our words', async ({ provider }) => {
      const { memo, callback } = await begin(provider);
      callback.search = new URLSearchParams({
        error: 'access_denied',
        error_description: '<b>call 555-1234</b>',
        state: STATE,
      }).toString();
      await assert.rejects(provider.finish(callback, memo, CALLBACK), (error: unknown) => {
        assert.ok(error instanceof LoginRefused);
        assert.ok(!error.reason.includes('555-1234'));
        return true;
      });
    }),
    refusedBeforeAsking('any other error: try again', (callback) => {
      callback.searchParams.delete('code');
      callback.searchParams.set('error', 'server_error');
    }),
    refusedBeforeAsking('a repeated code is refused', (callback) => callback.searchParams.append('code', 'second')),
    refusedBeforeAsking('a repeated state is refused', (callback) => callback.searchParams.append('state', 'second')),
    refusedBeforeAsking('code[x] is no code', (callback) => {
      callback.searchParams.delete('code');
      callback.searchParams.set('code[x]', 'nested');
    }),
    refusedBeforeAsking('an empty code is no code', (callback) => callback.searchParams.set('code', '')),
  ];
}

const HTML = { status: 200, body: '<!doctype html><title>Maintenance</title>' };
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
const TOKEN_FAULTS: Readonly<Record<string, FakeAnswer>> = {
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
const PROFILE_FAULTS: Readonly<Record<string, FakeAnswer>> = {
  ...COMMON_FAULTS,
  'says 401 with an empty body': { status: 401, body: '' },
};

function faultCases(
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

function powerCases(scene: Scenes): ContractCase[] {
  return [
    scene(
      'power identify: the same identity from the tokens alone, and dead tokens are told from silence',
      async (all) => {
        const { provider, fixture, fake } = all;
        if (!('identify' in provider)) return;
        const power = provider as unknown as Identifies;
        const { identity, tokens } = await signIn(provider);
        const again = await power.identify(tokens);
        assert.equal(again.subject, identity.subject);
        assert.equal(again.email, identity.email);
        fake.fault(fixture.routes.profile, 'reset');
        await assert.rejects(power.identify(tokens), UpstreamUnavailable);
        fake.mend();
        fixture.forgetTokens();
        await assert.rejects(power.identify(tokens), UpstreamGrantDead);
      },
    ),
    scene(
      'power refresh: a new access token; a dead grant is told from an outage',
      async ({ provider, fixture, fake }) => {
        if (!('refresh' in provider) || !fixture.allowRefresh) return;
        const power = provider as unknown as RefreshesUpstreamTokens;
        fixture.allowRefresh();
        const { tokens } = await signIn(provider);
        const refreshed = await power.refresh(tokens.refreshToken ?? '');
        assert.notEqual(refreshed.accessToken, tokens.accessToken);
        assert.ok(refreshed.refreshToken);
        for (const answer of ['reset', HTML, { status: 500, body: '' }, { status: 200, body: null }] as const) {
          fake.fault(fixture.routes.token, answer);
          await assert.rejects(power.refresh(refreshed.refreshToken), UpstreamUnavailable, JSON.stringify(answer));
        }
        fake.mend();
        fixture.forgetTokens();
        await assert.rejects(power.refresh(refreshed.refreshToken), UpstreamGrantDead);
      },
    ),
    scene('power refresh: keeps the old refresh token when none comes back', async ({ provider, fixture }) => {
      if (!('refresh' in provider) || !fixture.allowRefresh || !fixture.keepRefreshToken) return;
      fixture.allowRefresh();
      fixture.keepRefreshToken();
      const { tokens } = await signIn(provider);
      const refreshed = await (provider as unknown as RefreshesUpstreamTokens).refresh(tokens.refreshToken ?? '');
      assert.equal(refreshed.refreshToken, tokens.refreshToken);
    }),
    scene('power revoke: an upstream that refuses or is silent is no error', async ({ provider, fixture, fake }) => {
      if (!('revoke' in provider)) return;
      const power = provider as unknown as RevokesUpstreamTokens;
      const { tokens } = await signIn(provider);
      await power.revoke(tokens);
      fixture.forgetTokens();
      await power.revoke(tokens);
      fake.fault('*', 'reset');
      await power.revoke(tokens);
    }),
  ];
}

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

function scopesOf(url: URL): string[] {
  return (url.searchParams.get('scope') ?? '').split(/[\s,]+/);
}

import assert from 'node:assert/strict';
import {
  type Identifies,
  LoginRefused,
  type RefreshesUpstreamTokens,
  UpstreamUnavailable,
} from '../providers/contract.js';
import { talkative, UPSTREAM_TEXT } from './talkative-answers.js';
import { faultCases, PROFILE_FAULTS, TOKEN_FAULTS } from './login-fault-cases.js';
import { powerCases } from './login-power-cases.js';
import { type ContractCase, type LoginFixture, type Scenes, scenesAt } from './login-scenes.js';
import { begin, CALLBACK, signIn, STATE } from './login-walk.js';

/**
 * What every login provider must withstand.
 * @example for (const { name, run } of loginProviderCases(open)) it(name, run);
 */
export function loginProviderCases(open: () => Promise<LoginFixture>): ContractCase[] {
  const scene = scenesAt(open);
  return [
    ...happyCases(scene),
    ...callbackCases(scene),
    ...faultCases(scene, 'token', TOKEN_FAULTS),
    ...faultCases(scene, 'profile', PROFILE_FAULTS),
    ...powerCases(scene),
  ];
}

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

function scopesOf(url: URL): string[] {
  return (url.searchParams.get('scope') ?? '').split(/[\s,]+/);
}

import assert from 'node:assert/strict';
import {
  type Identifies,
  type RefreshesUpstreamTokens,
  type RevokesUpstreamTokens,
  UpstreamGrantDead,
  UpstreamUnavailable,
} from '../providers/contract.js';
import { HTML } from './login-fault-cases.js';
import type { ContractCase, Scenes } from './login-scenes.js';
import { signIn } from './login-walk.js';

/** The optional powers: identify, refresh, revoke. A provider that lacks one passes its cases. */
export function powerCases(scene: Scenes): ContractCase[] {
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

import { describe, expect, it } from 'vitest';
import { FakeOidc } from '../../testing/fake-oidc.js';
import { AUTHKIT_PATHS } from '../../testing/fake-oidc-paths.js';
import { testHouse } from '../../testing/house.js';
import { signIn } from '../../testing/login-walk.js';
import { describeLoginProvider } from '../../../test/contracts/login-provider.js';
import type { LoginProvider, ProviderHouse } from '../contract.js';
import { workos } from './workos.provider.js';

function create(
  fake: FakeOidc,
  house: ProviderHouse,
  options: { id?: string; wrongSecret?: boolean; scopes?: string } = {},
) {
  const settings = workos.definition.settings.parse({
    authkitDomain: fake.origin,
    clientId: fake.clientId,
    scopes: options.scopes,
    clientSecret: options.wrongSecret ? 'wrong' : fake.clientSecret,
  });
  return workos.definition.create(options.id ?? 'workos', settings, house) as LoginProvider;
}

describeLoginProvider('workos', async () => {
  const fake = await new FakeOidc({ paths: AUTHKIT_PATHS }).listen();
  return {
    fake,
    routes: { token: 'POST /oauth2/token', profile: 'GET /oauth2/userinfo' },
    create: (house, options) => create(fake, house, options),
    person: { subject: 'alice-1', email: 'alice@acme.example' },
    unusableProfiles: [{}, { sub: 'mallory' }],
    unverifyEmail: () => (fake.person['email_verified'] = false),
    forgetTokens: () => fake.forgetTokens(),
    allowRefresh: () => (fake.alwaysRefreshes = true),
  };
});

describe('workos', () => {
  it("asks for openid although FastMCP's settings do not name it", async () => {
    const fake = await new FakeOidc({ paths: AUTHKIT_PATHS }).listen();
    const house = testHouse();
    expect((await signIn(create(fake, house, { scopes: 'profile email' }))).identity.subject).toBe('alice-1');
    await fake.close();
    await house.close();
  });

  it('keeps org_id for the rule workos-org', async () => {
    const fake = await new FakeOidc({ paths: AUTHKIT_PATHS }).listen();
    const house = testHouse();
    fake.idToken = { org_id: 'org_1' };
    expect((await signIn(create(fake, house))).identity.claims['org_id']).toBe('org_1');
    await fake.close();
    await house.close();
  });

  it.each(['https://x.authkit.app/path', 'http://x.authkit.app', 'x.authkit.app', 'https://x.authkit.app/?a'])(
    'refuses the domain %s by name',
    (authkitDomain) => {
      const settings = { authkitDomain, clientId: 'a', clientSecret: 'b' };
      expect(workos.definition.settings.safeParse(settings).error?.issues[0]?.path).toEqual(['authkitDomain']);
    },
  );
});

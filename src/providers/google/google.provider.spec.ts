import { afterEach, describe, expect, it } from 'vitest';
import { FakeOidc } from '../../testing/fake-oidc.js';
import { GOOGLE_PATHS } from '../../testing/fake-oidc-paths.js';
import { testHouse, type TestHouse } from '../../testing/house.js';
import { signIn } from '../../testing/login-walk.js';
import { describeLoginProvider } from '../../../test/contracts/login-provider.js';
import type { LoginProvider, ProviderHouse } from '../contract.js';
import { google } from './google.provider.js';

function fakeGoogle(): Promise<FakeOidc> {
  const fake = new FakeOidc({ clientId: 'goog', clientSecret: 'goog-secret', paths: GOOGLE_PATHS });
  fake.rotates = false;
  fake.alwaysRefreshes = true;
  return fake.listen();
}

function create(fake: FakeOidc, house: ProviderHouse, options: { id?: string; wrongSecret?: boolean } = {}) {
  const settings = google.definition.settings.parse({
    clientId: 'goog',
    clientSecret: options.wrongSecret ? 'wrong' : 'goog-secret',
    authorizationUrl: `${fake.origin}/o/oauth2/v2/auth`,
    tokenUrl: `${fake.origin}/token`,
    userinfoUrl: `${fake.origin}/v1/userinfo`,
  });
  return google.definition.create(options.id ?? 'google', settings, house) as LoginProvider;
}

describeLoginProvider('google', async () => {
  const fake = await fakeGoogle();
  return {
    fake,
    routes: { token: 'POST /token', profile: 'GET /v1/userinfo' },
    create: (house, options) => create(fake, house, options),
    person: { subject: 'alice-1', email: 'alice@acme.example' },
    unusableProfiles: [{ email: 'x@y.example' }, { sub: '' }, { sub: 17 }, { sub: null }, { id: '17' }],
    unverifyEmail: () => (fake.person['email_verified'] = 'false'),
    forgetTokens: () => fake.forgetTokens(),
    allowRefresh: () => {},
    keepRefreshToken: () => {},
  };
});

describe('google', () => {
  let fake: FakeOidc;
  let house: TestHouse;
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const open = async (): Promise<LoginProvider> => {
    fake = await fakeGoogle();
    house = testHouse();
    return create(fake, house);
  };

  it('asks for offline access and a refresh token', async () => {
    const { tokens } = await signIn(await open());
    const asked = fake.requests[0]?.url.searchParams;
    expect(asked?.get('access_type')).toBe('offline');
    expect(asked?.get('prompt')).toBe('consent');
    expect(asked?.get('scope')).toBe('openid email profile');
    expect(tokens.refreshToken).toBeTruthy();
    expect(tokens.expiresAt).toBeGreaterThan(Date.now() / 1000 + 3500);
    expect(tokens.scopes).toEqual(['openid', 'email', 'profile']);
  });

  it('sends the token in the header, never in the query', async () => {
    await signIn(await open());
    const userinfo = fake.requests.find(({ url }) => url.pathname === '/v1/userinfo');
    expect(userinfo?.url.search).toBe('');
    expect(userinfo?.headers.authorization).toMatch(/^Bearer /);
  });

  it('gives rules the hd of the answer, not the one that was asked for', async () => {
    const provider = await open();
    fake.person['hd'] = 'acme.example';
    expect((await signIn(provider)).identity.claims['hd']).toBe('acme.example');
    delete fake.person['hd'];
    expect((await signIn(provider)).identity.claims['hd']).toBeUndefined();
  });

  it.each(['false', 'true', 1, undefined])('email_verified %j is not verified', async (verified) => {
    const provider = await open();
    fake.person['email_verified'] = verified;
    expect((await signIn(provider)).identity.email).toBeUndefined();
  });

  it('refuses a userinfo URL that the package would read as Google+', () => {
    const settings = { clientId: 'a', clientSecret: 'b', userinfoUrl: 'https://www.example.com/plus/v1/people/me' };
    expect(google.definition.settings.safeParse(settings).error?.issues[0]?.path).toEqual(['userinfoUrl']);
  });
});

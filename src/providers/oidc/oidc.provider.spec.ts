import { afterEach, describe, expect, it } from 'vitest';
import { FakeOidc } from '../../testing/fake-oidc.js';
import { testHouse, type TestHouse } from '../../testing/house.js';
import { begin, CALLBACK, signIn } from '../../testing/login-walk.js';
import { describeLoginProvider } from '../../../test/contracts/login-provider.js';
import {
  type EndsUpstreamSessions,
  type Identifies,
  type LoginProvider,
  type ProviderHouse,
  type RefreshesUpstreamTokens,
  type UpstreamTokens,
  UpstreamUnavailable,
} from '../contract.js';
import { oidc } from './oidc.provider.js';

interface Options {
  id?: string;
  wrongSecret?: boolean;
  scopes?: string[];
  clientSecret?: string | undefined;
}

function create(fake: FakeOidc, house: ProviderHouse, options: Options = {}) {
  const settings = oidc.definition.settings.parse({
    issuer: fake.issuer,
    clientId: fake.clientId,
    clientSecret: options.wrongSecret ? 'wrong' : (fake.clientSecret ?? undefined),
    scopes: options.scopes,
  });
  return oidc.definition.create(options.id ?? 'oidc', settings, house) as LoginProvider;
}

describeLoginProvider('oidc', async () => {
  const fake = await new FakeOidc({ issuerPath: '/realms/acme' }).listen();
  return {
    fake,
    routes: { token: 'POST /token', profile: 'GET /userinfo' },
    create: (house, options) => create(fake, house, options),
    person: { subject: 'alice-1', email: 'alice@acme.example' },
    unusableProfiles: [{ email: 'x@y.example' }, { sub: '' }, { sub: 17 }, { sub: 'mallory' }],
    unverifyEmail: () => delete fake.person['email_verified'],
    forgetTokens: () => fake.forgetTokens(),
    allowRefresh: () => (fake.alwaysRefreshes = true),
    keepRefreshToken: () => (fake.rotates = false),
  };
});

describe('oidc', () => {
  let fake: FakeOidc;
  let house: TestHouse;
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const open = async (
    prepare: (fake: FakeOidc) => void = () => {},
    options: Options & ConstructorParameters<typeof FakeOidc>[0] = {},
  ): Promise<LoginProvider> => {
    fake = await new FakeOidc(options).listen();
    prepare(fake);
    house = testHouse();
    return create(fake, house, options);
  };

  const bad: [string, (fake: FakeOidc) => void][] = [
    ['another issuer', (fake) => (fake.idToken = { iss: 'https://evil.example' })],
    ['another audience', (fake) => (fake.idToken = { aud: 'someone-else' })],
    ['another nonce', (fake) => (fake.idToken = { nonce: 'replayed' })],
    ['an end in the past', (fake) => (fake.idToken = { exp: Math.floor(Date.now() / 1000) - 120 })],
    ['another subject than userinfo', (fake) => (fake.idToken = { sub: 'mallory' })],
    ['no subject', (fake) => (fake.idToken = { sub: undefined as never })],
  ];
  it.each(bad)('an id_token with %s signs nobody in', async (_, prepare) => {
    await expect(signIn(await open(prepare))).rejects.toThrow(UpstreamUnavailable);
  });

  it('an id_token whose signature is not by the published key signs nobody in', async () => {
    const provider = await open();
    const { callback, memo } = await begin(provider);
    fake.fault('GET /jwks', { body: { keys: [fake.publicJwk] } });
    await fake.rotateKeys();
    await expect(provider.finish(callback, memo, CALLBACK)).rejects.toThrow(UpstreamUnavailable);
  });

  it('an aud that is a list with us in it is ours', async () => {
    const provider = await open((fake) => (fake.idToken = { aud: [fake.clientId, 'other'], azp: fake.clientId }));
    expect((await signIn(provider)).identity.subject).toBe('alice-1');
  });

  it('keeps claims for rules, userinfo before the id_token', async () => {
    const provider = await open((fake) => (fake.idToken = { groups: ['mcp'], name: 'Old name' }));
    const { identity } = await signIn(provider);
    expect(identity.claims['groups']).toEqual(['mcp']);
    expect(identity.name).toBe('Alice');
    expect(identity.username).toBe('alice');
  });

  const again = (provider: LoginProvider, tokens: UpstreamTokens) =>
    (provider as unknown as Identifies).identify(tokens);

  it('identifies again by userinfo; what stands in the id_token only is an earlier fact', async () => {
    const provider = await open((fake) => (fake.idToken = { groups: ['mcp'] }));
    const { tokens } = await signIn(provider);
    const { claims, earlier } = await again(provider, tokens);
    expect(claims['groups']).toBeUndefined();
    expect(earlier).toEqual({
      saidAt: null,
      email: undefined,
      claims: expect.objectContaining({ groups: ['mcp'] }),
    });
  });

  it('sec-18: what userinfo carried at the sign-in and no longer does is not known from the id_token', async () => {
    const provider = await open((fake) => (fake.person = { ...fake.person, groups: ['mcp'] }));
    const { identity, tokens } = await signIn(provider);
    expect([identity.claims['groups'], identity.email]).toEqual([['mcp'], 'alice@acme.example']);
    delete fake.person['groups'];
    delete fake.person['email_verified'];
    const { claims, email, earlier } = await again(provider, tokens);
    expect([claims['groups'], email]).toEqual([undefined, undefined]);
    expect([earlier?.claims['groups'], earlier?.email]).toEqual([undefined, undefined]);
  });

  it('sec-18: an address is as verified as the source that names it says', async () => {
    const verified = { email: 'alice@acme.example', email_verified: true };
    const unsaid = await open((fake) => {
      fake.person = { sub: 'alice-1', email: 'someone@else.example' };
      fake.idToken = verified;
    });
    const { identity, tokens } = await signIn(unsaid);
    expect(identity.email).toBe('alice@acme.example');
    expect(await again(unsaid, tokens)).toMatchObject({ email: undefined, earlier: { email: 'alice@acme.example' } });
    await Promise.all([fake.close(), house.close()]);
    const denied = await open((fake) => {
      fake.person = { sub: 'alice-1', email: 'someone@else.example', email_verified: false };
      fake.idToken = verified;
    });
    expect((await signIn(denied)).identity.email).toBeUndefined();
  });

  it('works without a userinfo endpoint; identified again, everything is an earlier fact', async () => {
    const provider = await open((fake) => (fake.metadata = { userinfo_endpoint: undefined }));
    const { identity, tokens } = await signIn(provider);
    expect(identity.email).toBe('alice@acme.example');
    expect(await again(provider, tokens)).toMatchObject({
      subject: 'alice-1',
      email: undefined,
      claims: { sub: 'alice-1' },
      earlier: { email: 'alice@acme.example' },
    });
  });

  it('works as a public client', async () => {
    const provider = await open(undefined, { clientSecret: null } as never);
    expect((await signIn(provider)).identity.subject).toBe('alice-1');
  });

  it('asks for consent with offline_access, and only then', async () => {
    const provider = await open(undefined, { scopes: ['openid', 'offline_access'] });
    const { tokens } = await signIn(provider);
    const asked = fake.requests.find(({ url }) => url.pathname === '/authorize')?.url.searchParams;
    expect(asked?.get('prompt')).toBe('consent');
    expect(tokens.refreshToken).toBeTruthy();
  });

  it('takes an absent scope of the token answer for the scopes it asked for', async () => {
    const provider = await open();
    const { callback, memo } = await begin(provider);
    const scopes = (await provider.finish(callback, memo, CALLBACK)).tokens.scopes;
    expect(scopes).toEqual(['openid', 'profile', 'email']);
  });

  it('authenticates by Basic where the server offers nothing else', async () => {
    const provider = await open(
      (fake) => (fake.metadata = { token_endpoint_auth_methods_supported: ['client_secret_basic'] }),
    );
    await signIn(provider);
    expect(fake.requests.find(({ url }) => url.pathname === '/token')?.headers.authorization).toMatch(/^Basic /);
  });

  const discovery: [string, Parameters<FakeOidc['fault']>[1]][] = [
    ['HTML with 200', { body: '<html>' }],
    ['404', { status: 404, body: 'no' }],
    ['401', { status: 401, body: '' }],
    ['null', { body: null }],
    ['silence', 'hang'],
    ['another issuer', { body: { issuer: 'https://evil.example' } }],
  ];
  it.each(discovery)('discovery that answers %s is an outage', async (_, answer) => {
    const provider = await open((fake) => fake.fault('GET /.well-known/openid-configuration', answer));
    if (answer === 'hang') house.hurry(300);
    await expect(provider.start({ state: 's', callbackUrl: CALLBACK, scopes: [] })).rejects.toThrow(
      UpstreamUnavailable,
    );
  });

  it('discovers once for many sign-ins, and again after a failure', async () => {
    const provider = await open((fake) => fake.fault('GET /.well-known/openid-configuration', 'reset'));
    await expect(begin(provider)).rejects.toThrow(UpstreamUnavailable);
    fake.mend();
    await Promise.all([begin(provider), begin(provider), begin(provider)]);
    expect(fake.count('GET /.well-known/openid-configuration')).toBe(2);
  });

  it('refuses the answer of another issuer in the callback (RFC 9207)', async () => {
    const provider = await open((fake) => (fake.metadata = { authorization_response_iss_parameter_supported: true }));
    const { callback, memo } = await begin(provider);
    callback.searchParams.set('iss', 'https://evil.example');
    await expect(provider.finish(callback, memo, CALLBACK)).rejects.toThrow(UpstreamUnavailable);
  });

  it('offers sign-out at the provider where it has one', async () => {
    const provider = (await open()) as LoginProvider & EndsUpstreamSessions;
    const { tokens } = await signIn(provider);
    const returnTo = new URL('http://localhost:8000/account');
    const url = await provider.endSessionUrl({ idToken: tokens.idToken, returnTo, state: 's' });
    expect(url?.pathname).toBe('/logout');
    expect(Object.fromEntries(url!.searchParams)).toEqual({
      client_id: fake.clientId,
      id_token_hint: tokens.idToken,
      post_logout_redirect_uri: returnTo.href,
      state: 's',
    });
    const without = await provider.endSessionUrl({ idToken: undefined, returnTo, state: 's' });
    expect(without?.searchParams.has('id_token_hint')).toBe(false);
    expect(without?.searchParams.get('client_id')).toBe(fake.clientId);
  });

  it('offers none where the provider has none', async () => {
    const provider = await open((fake) => (fake.metadata = { end_session_endpoint: undefined }));
    const power = provider as unknown as EndsUpstreamSessions;
    const returnTo = new URL('http://localhost:8000/account');
    expect(await power.endSessionUrl({ idToken: undefined, returnTo, state: 's' })).toBeNull();
  });

  it('a refresh refused because our secret is wrong is an outage, not the end of the grant', async () => {
    const provider = await open((fake) => (fake.alwaysRefreshes = true));
    const { tokens } = await signIn(provider);
    fake.fault('POST /token', { status: 401, body: { error: 'invalid_client' } });
    const power = provider as unknown as RefreshesUpstreamTokens;
    await expect(power.refresh(tokens.refreshToken ?? '')).rejects.toThrow(UpstreamUnavailable);
    expect(house.lines.join()).toContain('GATEHOUSE_OIDC_CLIENT_SECRET');
  });

  it.each([
    [{ issuer: 'http://idp.example', clientId: 'a' }, 'issuer'],
    [{ issuer: 'idp', clientId: 'a' }, 'issuer'],
    [{ issuer: 'https://idp.example' }, 'clientId'],
    [{ issuer: 'https://idp.example', clientId: 'a', clientSecret: '' }, 'clientSecret'],
    [{ issuer: 'https://idp.example', clientId: 'a', scopes: 'profile' }, 'scopes'],
  ])('refuses %j by name', (settings, name) => {
    expect(oidc.definition.settings.safeParse(settings).error?.issues[0]?.path).toEqual([name]);
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { FakeOidc } from '../../testing/fake-oidc.js';
import { testHouse, type TestHouse } from '../../testing/house.js';
import { begin, CALLBACK, signIn } from '../../testing/login-provider-cases.js';
import { describeLoginProvider } from '../../../test/contracts/login-provider.js';
import {
  type EndsUpstreamSessions,
  type Identifies,
  type LoginProvider,
  type ProviderHouse,
  type RefreshesUpstreamTokens,
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

  it('identifies again with claims that stand in the id_token only', async () => {
    const provider = await open((fake) => (fake.idToken = { groups: ['mcp'] }));
    const { tokens } = await signIn(provider);
    expect((await (provider as unknown as Identifies).identify(tokens)).claims['groups']).toEqual(['mcp']);
  });

  it('works without a userinfo endpoint', async () => {
    const provider = await open((fake) => (fake.metadata = { userinfo_endpoint: undefined }));
    expect((await signIn(provider)).identity.email).toBe('alice@acme.example');
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

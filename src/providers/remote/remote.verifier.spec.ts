import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeOidc } from '../../testing/fake-oidc.js';
import { AUTHKIT_PATHS } from '../../testing/fake-oidc-paths.js';
import { accessClaims, BAD_JWTS, badJwts } from '../../testing/foreign-tokens.js';
import { testHouse, type TestHouse } from '../../testing/house.js';
import { describeTokenVerifier } from '../../../test/contracts/token-verifier.js';
import {
  type NamesAuthorizationServers,
  type Probes,
  type ProviderHouse,
  type Runs,
  type TokenVerifier,
  UpstreamUnavailable,
} from '../contract.js';
import { authkit } from './authkit.verifier.js';
import { remote } from './remote.verifier.js';

const AUDIENCE = 'http://localhost:8000/mcp';
type Remote = TokenVerifier & NamesAuthorizationServers & Runs & Probes;

function create(house: ProviderHouse, settings: Parameters<typeof remote>[0], id = 'remote'): Remote {
  return remote.definition.create(id, remote.definition.settings.parse(settings), house) as Remote;
}

describeTokenVerifier('remote by keys', {
  bad: BAD_JWTS,
  hasUpstream: true,
  open: async () => {
    const fake = await new FakeOidc({ issuerPath: '/tenant/one' }).listen();
    return {
      fake,
      route: '*',
      create: (house, id) => create(house, { issuer: fake.issuer }, id),
      good: (scopes) => fake.sign(accessClaims(fake, AUDIENCE, scopes)),
      bad: badJwts(fake, AUDIENCE),
    };
  },
});

describeTokenVerifier('remote by introspection', {
  bad: ['an unknown token', 'a token for another audience'],
  hasUpstream: true,
  open: async () => {
    const fake = await new FakeOidc().listen();
    fake.person['aud'] = AUDIENCE;
    const credentials = { introspectionClientId: fake.clientId, introspectionClientSecret: fake.clientSecret ?? '' };
    return {
      fake,
      route: 'POST /introspect',
      create: (house, id) => create(house, { issuer: fake.issuer, ...credentials }, id),
      good: (scopes) => Promise.resolve(fake.mintOpaque([...scopes])),
      bad: {
        'an unknown token': () => Promise.resolve('no-such-token'),
        'a token for another audience': () =>
          Promise.resolve(fake.mintOpaque(['mcp'], { sub: 'alice-1', aud: 'https://other.example' })),
      },
    };
  },
});

describeTokenVerifier('authkit', {
  bad: [...BAD_JWTS, 'a token signed by ES256'],
  hasUpstream: true,
  open: async () => {
    const fake = await new FakeOidc({ paths: AUTHKIT_PATHS }).listen();
    return {
      fake,
      route: 'GET /oauth2/jwks',
      create: (house, id) =>
        authkit.definition.create(
          id,
          authkit.definition.settings.parse({ authkitDomain: fake.origin }),
          house,
        ) as TokenVerifier,
      good: (scopes) => fake.sign(accessClaims(fake, AUDIENCE, scopes)),
      bad: {
        ...badJwts(fake, AUDIENCE),
        'a token signed by ES256': async () => {
          const rsa = await fake.sign(accessClaims(fake, AUDIENCE));
          const { publicJwk } = fake;
          await fake.rotateKeys({ alg: 'ES256', keep: true });
          const token = await fake.sign(accessClaims(fake, AUDIENCE));
          const sign = fake.sign.bind(fake);
          fake.sign = (claims, header) => (header ? sign(claims, header) : Promise.resolve(rsa));
          expect(publicJwk.alg).toBe('RS256');
          return token;
        },
      },
    };
  },
});

describe('remote', () => {
  let fake: FakeOidc;
  let house: TestHouse;
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const open = async (prepare: (fake: FakeOidc) => void = () => {}): Promise<Remote> => {
    fake = await new FakeOidc().listen();
    prepare(fake);
    house = testHouse();
    return create(house, { issuer: fake.issuer });
  };
  const good = (): Promise<string> => fake.sign(accessClaims(fake, AUDIENCE));

  it('names the foreign issuer for the metadata of this resource', async () => {
    expect((await open()).authorizationServers).toEqual([fake.issuer]);
  });

  it('starts while discovery fails, says so, and works once it answers', async () => {
    const verifier = await open((fake) => fake.fault('*', { status: 500, body: '' }));
    await verifier.open();
    await expect(verifier.verify(await good())).rejects.toThrow(UpstreamUnavailable);
    expect(house.lines.join('\n')).toMatch(/error remote: discovery failed.*trying again in 1 s/);
    fake.mend();
    await vi.waitFor(async () => expect(await verifier.verify(await good())).not.toBeNull(), { timeout: 10_000 });
    await verifier.close();
  });

  it.each([
    ['jwks_uri', {}],
    ['introspection_endpoint', { introspectionClientId: 'oidc-client', introspectionClientSecret: 'oidc-secret' }],
  ])('metadata that lack %s are read again until they are whole', async (member, credentials) => {
    await open((fake) => (fake.metadata = { [member]: undefined }));
    fake.person['aud'] = AUDIENCE;
    const verifier = create(house, { issuer: fake.issuer, ...credentials });
    const token = member === 'jwks_uri' ? await good() : fake.mintOpaque();
    await expect(verifier.verify(token)).rejects.toThrow(UpstreamUnavailable);
    await expect(verifier.probe()).rejects.toThrow(UpstreamUnavailable);
    fake.metadata = {};
    house.pass(1);
    expect(await verifier.verify(token)).not.toBeNull();
    await verifier.probe();
  });

  it('sec-34: strangers cannot hammer an issuer whose discovery fails', async () => {
    let now = 1000;
    await open((fake) => fake.fault('*', { status: 500, body: '' }));
    const paced = testHouse({ now: () => now });
    const verifier = create(paced, { issuer: fake.issuer });
    const place = 'GET /.well-known/openid-configuration';
    for (let i = 0; i < 30; i++, now++)
      await expect(verifier.verify(`junk-${i}`)).rejects.toMatchObject({ isQuiet: true });
    expect(fake.count(place)).toBe(5);
    expect(paced.lines).toHaveLength(5);
    now += 300;
    await Promise.all(
      Array.from({ length: 30 }, (_, i) => expect(verifier.verify(`junk-${i}`)).rejects.toThrow(UpstreamUnavailable)),
    );
    expect(fake.count(place)).toBe(6);
    await expect(verifier.verify('junk')).rejects.toMatchObject({ retryAfter: 30 });
    await paced.close();
  });

  it('authkit tells of a dead domain at the start, and works once it is there', async () => {
    fake = await new FakeOidc({ paths: AUTHKIT_PATHS }).listen();
    house = testHouse();
    fake.fault('*', 'reset');
    const settings = authkit.definition.settings.parse({ authkitDomain: fake.origin });
    const verifier = authkit.definition.create('authkit', settings, house) as Remote;
    await verifier.open();
    await vi.waitFor(() => expect(house.lines.join()).toMatch(/error authkit: the keys at .* cannot be had/));
    await expect(verifier.probe()).rejects.toThrow(UpstreamUnavailable);
    fake.mend();
    await verifier.probe();
    await vi.waitFor(async () => expect(await verifier.verify(await good())).not.toBeNull(), { timeout: 10_000 });
    await verifier.close();
  });

  it.each([
    [
      'audience',
      { aud: 'https://other.example' },
      /audience "https:\/\/other\.example" was refused; wanted is .*RFC 8707/,
    ],
    ['audience that is absent', { aud: undefined }, /audience \(none\) was refused/],
    ['issuer', { iss: 'https://evil.example' }, /issuer "https:\/\/evil\.example" was refused/],
  ])('by introspection a refused %s is told once', async (_, claims, line) => {
    await open();
    const credentials = { introspectionClientId: fake.clientId, introspectionClientSecret: fake.clientSecret ?? '' };
    const verifier = create(house, { issuer: fake.issuer, ...credentials });
    fake.fault('POST /introspect', { body: { active: true, sub: 'a', aud: AUDIENCE, iss: fake.issuer, ...claims } });
    expect(await verifier.verify('one')).toBeNull();
    expect(await verifier.verify('two')).toBeNull();
    expect(house.lines).toHaveLength(1);
    expect(house.lines[0]).toMatch(line);
  });

  it('discovers once for many tokens', async () => {
    const verifier = await open();
    const tokens = await Promise.all([good(), good(), good()]);
    await Promise.all(tokens.map((token) => verifier.verify(token)));
    await verifier.verify(await good());
    expect(fake.count('GET /.well-known/openid-configuration')).toBe(1);
  });

  it('finds metadata at the RFC 8414 place where the other answers HTML', async () => {
    const verifier = await open((fake) => {
      fake.fault('GET /.well-known/openid-configuration', { body: '<html>sign in</html>' });
      fake.on('GET /.well-known/oauth-authorization-server', () => ({ body: fake.document() }));
    });
    expect(await verifier.verify(await good())).not.toBeNull();
  });

  it.each([
    ['another issuer', { issuer: 'https://evil.example' }],
    ['the issuer with a path', { issuer: 'http://127.0.0.1:1/x' }],
    ['no issuer', { issuer: undefined }],
    ['no keys', { jwks_uri: undefined }],
  ])('metadata with %s decides nothing', async (_, metadata) => {
    const verifier = await open((fake) => (fake.metadata = metadata));
    await expect(verifier.verify(await good())).rejects.toThrow(UpstreamUnavailable);
  });

  it('forgives the slash after a bare origin, and compares tokens with what the server writes', async () => {
    const verifier = await open((fake) => (fake.metadata = { issuer: `${fake.issuer}/` }));
    expect(
      await verifier.verify(await fake.sign({ ...accessClaims(fake, AUDIENCE), iss: `${fake.issuer}/` })),
    ).not.toBeNull();
    expect(await verifier.verify(await good())).toBeNull();
  });

  it('introspects by post where the server offers only that', async () => {
    await open((fake) => (fake.metadata = { introspection_endpoint_auth_methods_supported: ['client_secret_post'] }));
    fake.person['aud'] = AUDIENCE;
    const credentials = { introspectionClientId: fake.clientId, introspectionClientSecret: fake.clientSecret ?? '' };
    expect(await create(house, { issuer: fake.issuer, ...credentials }).verify(fake.mintOpaque())).not.toBeNull();
    expect(fake.requests.at(-1)?.headers.authorization).toBeUndefined();
  });

  it.each([
    [{}, ['issuer']],
    [{ issuer: 'http://as.example' }, ['issuer']],
    [{ issuer: 'https://as.example', introspectionClientId: 'a' }, ['introspectionClientSecret']],
    [{ issuer: 'https://as.example', introspectionClientSecret: 'a' }, ['introspectionClientId']],
    [{ introspectionClientSecret: 'a' }, ['introspectionClientId', 'issuer']],
  ])('refuses %j by name', async (settings, names) => {
    await open();
    const issues = remote.definition.settings.safeParse(settings).error?.issues ?? [];
    expect(issues.map(({ path }) => String(path[0])).sort()).toEqual(names);
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { FakeVendor } from '../../test/fake-vendor.js';
import { CALLBACK } from '../testing/login-walk.js';
import type { LoginProvider, Principal, ProviderChoice, Runs, TokenVerifier } from './contract.js';
import { jwt } from './jwt/jwt.verifier.js';
import { oidc } from './oidc/oidc.provider.js';
import { quirkOf } from './quirks.js';
import { authkit } from './remote/authkit.verifier.js';
import { remote } from './remote/remote.verifier.js';

const MCP = 'http://localhost:8000/mcp';

describe('U4: what is peculiar about authorization servers', () => {
  it.each([
    ['https://login.microsoftonline.com/8f1a/v2.0', 'Entra ID', /Application ID URI/],
    ['https://acme.eu.auth0.com/', 'Auth0', /`audience`.*Default Audience/],
    ['https://acme.okta.com/oauth2/default', 'Okta', /custom authorization server/],
    ['https://id.acme.example/realms/acme', 'Keycloak', /mapper of type Audience/],
    ['https://api.descope.com/P2abc', 'Descope', /project id/],
    ['https://acme.authkit.app', 'WorkOS AuthKit', /Resource Indicators/],
    ['https://as.acme.example', 'other', /RFC 8707/],
    ['not a url', 'other', /RFC 8707/],
  ])('%s is %s, and a refused audience has a cure', (issuer, name, cure) => {
    expect(quirkOf(issuer).name).toBe(name);
    expect(quirkOf(issuer).audience).toMatch(cure);
  });

  let vendor: FakeVendor;
  afterEach(() => vendor?.close());
  const open = async (issuer: string, prepare: (vendor: FakeVendor) => void): Promise<FakeVendor> => {
    vendor = new FakeVendor(issuer);
    prepare(vendor);
    return vendor.listen();
  };
  const built = ({ id, kind, settings }: ProviderChoice): unknown => kind.create(id, settings, vendor.house);
  const verify = (choice: ProviderChoice, token: string): Promise<Principal | null> =>
    (built(choice) as TokenVerifier).verify(token);
  /** What an MCP client gets that does as the MCP specification says: it sends `resource`, and nothing of a vendor's own. */
  const obtain = async (): Promise<string> => {
    const obtained = await vendor.obtain({ resource: MCP });
    if ('error' in obtained) throw new Error(obtained.error);
    return obtained.token;
  };
  const told = (): string => vendor.house.lines.join('\n');

  describe('Entra ID', () => {
    const issuer = 'https://login.microsoftonline.com/8f1a/v2.0';
    const entra = (): Promise<FakeVendor> =>
      open(issuer, (fake) => {
        fake.refuses = { resource: 'AADSTS9010010: The resource parameter provided does not match the scopes.' };
        fake.metadata = { code_challenge_methods_supported: undefined, introspection_endpoint: undefined };
        fake.accessClaims = () => fake.claims({ aud: 'app-id', scp: 'Mcp.Use', azp: 'an-mcp-client' });
        fake.person = { sub: 'alice-1', email: 'alice@acme.example', name: 'Alice' };
      });

    it('refuses MCP clients, which send `resource`: `remote` warns of it at the start', async () => {
      await entra();
      await expect(obtain()).rejects.toThrow('AADSTS9010010');
      const verifier = built(remote({ issuer })) as Runs;
      await verifier.open();
      await verifier.close();
      expect(told()).toMatch(/AADSTS9010010.*oidc/);
    });

    it('signs people in by `oidc`: no `resource`, S256 though it is not announced, an e-mail nobody verified', async () => {
      await entra();
      const login = built(oidc({ issuer, clientId: vendor.clientId })) as LoginProvider;
      const { url, memo } = await login.start({ state: 's', callbackUrl: CALLBACK, scopes: [] });
      expect(url.searchParams.get('code_challenge_method')).toBe('S256');
      const answer = await fetch(vendor.here(url), { redirect: 'manual' });
      const { identity } = await login.finish(new URL(answer.headers.get('location') ?? ''), memo, CALLBACK);
      expect(identity).toMatchObject({ subject: 'alice-1', name: 'Alice' });
      expect(identity.email).toBeUndefined();
    });

    it('names the application in `aud`: refused with the cure, accepted with AUDIENCE', async () => {
      await entra();
      const obtained = await vendor.obtain({});
      const token = 'token' in obtained ? obtained.token : '';
      const settings = { issuer, jwksUri: 'https://login.microsoftonline.com/jwks' };
      expect(await verify(jwt(settings), token)).toBeNull();
      expect(told()).toMatch(/"app-id" was refused.*set AUDIENCE to the application’s client ID/);
      const principal = await verify(jwt({ ...settings, audience: 'app-id' }), token);
      expect(principal).toMatchObject({ scopes: ['Mcp.Use'], client: 'an-mcp-client' });
    });
  });

  describe('Auth0', () => {
    const issuer = 'https://acme.eu.auth0.com/';
    /** Its own parameter first, `resource` only in the compatibility profile, then the tenant's default; else an opaque token. */
    const auth0 = (tenant: { defaultAudience?: string; isCompatible?: boolean }): Promise<FakeVendor> =>
      open(issuer, (fake) => {
        fake.accessClaims = (request) => {
          const resource = tenant.isCompatible ? request.get('resource') : null;
          const aud = request.get('audience') ?? resource ?? tenant.defaultAudience;
          return aud === undefined ? null : fake.claims({ aud: [aud, `${issuer}userinfo`], scope: 'mcp' });
        };
      });

    it('ignores `resource`: its token is opaque, or for another API and refused with the cure', async () => {
      await auth0({});
      expect(await verify(remote({ issuer }), await obtain())).toBeNull();
      await vendor.close();
      await auth0({ defaultAudience: 'https://other-api.example' });
      expect(await verify(remote({ issuer }), await obtain())).toBeNull();
      expect(told()).toMatch(/"https:\/\/other-api\.example".* was refused.*`audience`.*Default Audience/);
    });

    it.each([
      ['the MCP URL as Default Audience', { defaultAudience: MCP }],
      ['the compatibility profile', { isCompatible: true }],
    ])('serves MCP clients with %s', async (_, tenant) => {
      await auth0(tenant);
      expect(await verify(remote({ issuer }), await obtain())).toMatchObject({ subject: 'alice-1', scopes: ['mcp'] });
    });
  });

  describe('Okta', () => {
    /** `aud` is a setting of the authorization server, whatever was asked; there is no document at the RFC 8414 path. */
    const okta = (issuer: string, aud: string): Promise<FakeVendor> =>
      open(issuer, (fake) => {
        fake.accessClaims = () => fake.claims({ aud, scp: ['mcp'], cid: 'an-mcp-client' });
        fake.fault('GET /.well-known/oauth-authorization-server/oauth2/default', { status: 404, body: {} });
      });

    it('sets `aud` by authorization server: refused with the cure, accepted once it is the MCP URL', async () => {
      const issuer = 'https://acme.okta.com/oauth2/default';
      await okta(issuer, 'api://default');
      expect(await verify(remote({ issuer }), await obtain())).toBeNull();
      expect(told()).toMatch(
        /"api:\/\/default" was refused.*custom authorization server whose Audience is the MCP URL/,
      );
      await vendor.close();
      await okta(issuer, MCP);
      const principal = await verify(remote({ issuer }), await obtain());
      expect(principal).toMatchObject({ scopes: ['mcp'], client: 'an-mcp-client' });
    });

    it('signs tokens of the org server with a key it does not publish: none is accepted', async () => {
      await okta('https://acme.okta.com', MCP);
      const token = await obtain();
      await vendor.rotateKeys({ alg: 'ES256' });
      expect(await verify(remote({ issuer: 'https://acme.okta.com' }), token)).toBeNull();
    });

    it('does not let browsers register: `remote` warns of it at the start', async () => {
      await okta('https://acme.okta.com/oauth2/default', MCP);
      const verifier = built(remote({ issuer: 'https://acme.okta.com/oauth2/default' })) as Runs;
      await verifier.open();
      await verifier.close();
      expect(told()).toMatch(/no CORS.*login provider `oidc`/);
    });
  });

  it('Keycloak ignores `resource`: without an audience mapper refused with the cure, with one accepted', async () => {
    const issuer = 'https://id.acme.example/realms/acme';
    let mapped: string[] = [];
    await open(issuer, (fake) => {
      fake.accessClaims = () => fake.claims({ aud: [...mapped, 'account'], azp: 'an-mcp-client', scope: 'mcp' });
    });
    expect(await verify(remote({ issuer }), await obtain())).toBeNull();
    expect(told()).toMatch(/\["account"\] was refused.*mapper of type Audience/);
    mapped = [MCP];
    expect(await verify(remote({ issuer }), await obtain())).toMatchObject({ client: 'an-mcp-client' });
  });

  it.each([
    'https://api.descope.com/P2abc',
    'https://api.descope.com/v1/apps/P2abc',
    'https://api.descope.com/v1/apps/agentic/P2abc/MS1',
  ])('Descope at %s writes either of two issuers and the project id as `aud`', async (issuer) => {
    let iss = issuer;
    await open(issuer, (fake) => {
      fake.accessClaims = () => fake.claims({ iss, aud: ['P2abc'], scope: 'mcp' });
    });
    expect(await verify(remote({ issuer }), await obtain())).toBeNull();
    expect(told()).toMatch(/\["P2abc"\] was refused.*set AUDIENCE to it/);
    for (iss of [issuer, 'https://api.descope.com/P2abc', 'https://api.descope.com/v1/apps/P2abc'])
      expect(await verify(remote({ issuer, audience: 'P2abc' }), await obtain()), iss).not.toBeNull();
    for (iss of ['https://api.descope.com/P2evil', 'https://api.descope.com', 'https://api.evil.example/P2abc'])
      expect(await verify(remote({ issuer, audience: 'P2abc' }), await obtain()), iss).toBeNull();
  });

  it('WorkOS AuthKit knows a resource only when it is configured: refused with the cure, then accepted', async () => {
    const configured = new Set<string>();
    await open('https://acme.authkit.app', (fake) => {
      fake.accessClaims = (request) => {
        const resource = request.get('resource') ?? '';
        return fake.claims({ aud: configured.has(resource) ? resource : 'client_123' });
      };
      fake.on('GET /oauth2/jwks', () => ({ body: { keys: [fake.publicJwk] } }));
    });
    const choice = authkit({ authkitDomain: 'https://acme.authkit.app' });
    expect(await verify(choice, await obtain())).toBeNull();
    expect(told()).toMatch(/"client_123" was refused.*Resource Indicators/);
    configured.add(MCP);
    expect(await verify(choice, await obtain())).not.toBeNull();
  });
});

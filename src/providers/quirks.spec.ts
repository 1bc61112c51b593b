import { describe, expect, it } from 'vitest';
import { FakeOidc } from '../testing/fake-oidc.js';
import { testHouse } from '../testing/house.js';
import { CALLBACK } from '../testing/login-provider-cases.js';
import type { LoginProvider, Runs } from './contract.js';
import { oidc } from './oidc/oidc.provider.js';
import { issuersOf, quirkOf } from './quirks.js';
import { remote } from './remote/remote.verifier.js';

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

  it('Entra refuses `resource`: a login never sends it, and `remote` warns at the start', async () => {
    const fake = await new FakeOidc().listen();
    const house = testHouse();
    const login = oidc.definition.create(
      'oidc',
      oidc.definition.settings.parse({ issuer: fake.issuer, clientId: 'a' }),
      house,
    );
    const { url } = await (login as LoginProvider).start({ state: 's', callbackUrl: CALLBACK, scopes: [] });
    expect(url.searchParams.has('resource')).toBe(false);
    const silent = testHouse({ outbound: { send: () => new Promise(() => {}) } });
    const settings = remote.definition.settings.parse({ issuer: 'https://login.microsoftonline.com/8f1a/v2.0' });
    const verifier = remote.definition.create('remote', settings, silent) as unknown as Runs;
    await verifier.open();
    expect(silent.lines.join()).toMatch(/AADSTS9010010.*oidc/);
    await verifier.close();
    await Promise.all([fake.close(), house.close(), silent.close()]);
  });

  it('Entra omits PKCE in its metadata and email_verified in its tokens: S256 is sent all the same, the e-mail is unverified', async () => {
    const fake = await new FakeOidc().listen();
    fake.metadata = { code_challenge_methods_supported: undefined };
    const house = testHouse();
    const login = oidc.definition.create(
      'oidc',
      oidc.definition.settings.parse({ issuer: fake.issuer, clientId: 'a' }),
      house,
    );
    const { url } = await (login as LoginProvider).start({ state: 's', callbackUrl: CALLBACK, scopes: [] });
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    await Promise.all([fake.close(), house.close()]);
  });

  it('Descope tokens carry one of two issuers', () => {
    const both = ['https://api.descope.com/P2abc', 'https://api.descope.com/v1/apps/P2abc'];
    expect(issuersOf(both[0] ?? '').sort()).toEqual(both);
    expect(issuersOf(both[1] ?? '').sort()).toEqual(both);
    const server = 'https://api.descope.com/v1/apps/agentic/P2abc/MS1';
    expect(issuersOf(server)).toEqual([server, ...both]);
    expect(issuersOf('https://as.example')).toEqual(['https://as.example']);
  });
});

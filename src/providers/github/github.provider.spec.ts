import { afterEach, describe, expect, it } from 'vitest';
import { FakeGitHub } from '../../testing/fake-github.js';
import { testHouse, type TestHouse } from '../../testing/house.js';
import { signIn } from '../../testing/login-walk.js';
import { describeLoginProvider } from '../../../test/contracts/login-provider.js';
import {
  type Identifies,
  type LoginProvider,
  type ProviderHouse,
  type RevokesUpstreamTokens,
  UpstreamUnavailable,
} from '../contract.js';
import { github } from './github.provider.js';

function create(fake: FakeGitHub, house: ProviderHouse, options: { id?: string; wrongSecret?: boolean } = {}) {
  const settings = github.definition.settings.parse({
    clientId: 'gh-client',
    clientSecret: options.wrongSecret ? 'wrong' : 'gh-secret',
    baseUrl: fake.origin,
    apiUrl: fake.origin,
  });
  return github.definition.create(options.id ?? 'github', settings, house) as LoginProvider;
}

describeLoginProvider('github', async () => {
  const fake = await new FakeGitHub().listen();
  return {
    fake,
    routes: { token: 'POST /login/oauth/access_token', profile: 'GET /user' },
    create: (house, options) => create(fake, house, options),
    person: { subject: '583231', email: 'octocat@github.example' },
    unusableProfiles: [{ login: 'x' }, { id: '17' }, { id: 0 }, { id: 2 ** 53 }, { id: null }, { id: 1.5 }],
    unverifyEmail: () => fake.person.emails.forEach((entry) => (entry.verified = false)),
    forgetTokens: () => fake.forgetTokens(),
    allowRefresh: () => (fake.expiresIn = 28_800),
  };
});

describe('github', () => {
  let fake: FakeGitHub;
  let house: TestHouse;
  afterEach(async () => {
    await fake.close();
    await house.close();
  });
  const open = async (ruleKinds: string[] = []): Promise<LoginProvider> => {
    fake = await new FakeGitHub().listen();
    house = testHouse({ ruleKinds: new Set(ruleKinds) });
    return create(fake, house);
  };

  it('reads organisations and teams only when a rule needs them, and asks for read:org only then', async () => {
    const plain = await open();
    expect((await signIn(plain)).identity.organizations).toBeUndefined();
    expect(fake.count('GET /user/orgs')).toBe(0);
    expect(fake.requests[0]?.url.searchParams.get('scope')).toBe('read:user,user:email');
    const ruled = create(fake, testHouse({ ruleKinds: new Set(['github-org', 'github-team']) }));
    const { identity } = await signIn(ruled);
    expect(identity.organizations).toEqual(['acme']);
    expect(identity.teams).toEqual(['acme/builders']);
  });

  it('reads every page of organisations', async () => {
    const provider = await open(['github-org']);
    fake.person.organizations = Array.from({ length: 250 }, (_, i) => `Org${i}`);
    expect((await signIn(provider)).identity.organizations).toHaveLength(250);
    expect(fake.count('GET /user/orgs')).toBe(3);
  });

  it('takes only the e-mail that is primary and verified at once', async () => {
    const provider = await open();
    fake.person.emails = [
      { email: 'verified@x.example', primary: false, verified: true, visibility: null },
      { email: 'primary@x.example', primary: true, verified: false, visibility: null },
    ];
    expect((await signIn(provider)).identity.email).toBeUndefined();
  });

  it('signs in without an e-mail where the person did not grant it, and without organisations', async () => {
    const provider = await open(['github-org']);
    fake.grants = [];
    const { identity, tokens } = await signIn(provider);
    expect(identity.email).toBeUndefined();
    expect(identity.organizations).toBeUndefined();
    expect(tokens.scopes).toEqual([]);
  });

  it('takes a rate limit on e-mails for an outage, not for a person without e-mail', async () => {
    const provider = await open();
    fake.fault('GET /user/emails', {
      status: 403,
      headers: { 'x-ratelimit-remaining': '0' },
      body: { message: 'limit' },
    });
    await expect(signIn(provider)).rejects.toThrow(UpstreamUnavailable);
  });

  it.each([
    ['HTML', { body: '<html>' }],
    ['null', { body: null }],
    ['an object', { body: {} }],
  ])('e-mails answered as %s: try again', async (_, answer) => {
    const provider = await open();
    fake.fault('GET /user/emails', answer);
    await expect(signIn(provider)).rejects.toThrow(UpstreamUnavailable);
  });

  it('reads [null] among e-mails as none', async () => {
    const provider = await open();
    fake.fault('GET /user/emails', { body: [null] });
    expect((await signIn(provider)).identity.email).toBeUndefined();
  });

  it('reads form-encoded token answers of older Enterprise Servers', async () => {
    const provider = await open();
    fake.tokenFormat = 'form';
    const { identity, tokens } = await signIn(provider);
    expect(identity.subject).toBe('583231');
    expect(tokens.scopes).toEqual(['read:user', 'user:email']);
  });

  it('sends tokens in the header only', async () => {
    await signIn(await open());
    expect(fake.requests.some(({ url }) => url.searchParams.has('access_token'))).toBe(false);
  });

  it('knows when the tokens of a GitHub App end', async () => {
    const provider = await open();
    fake.expiresIn = 28_800;
    const { tokens } = await signIn(provider);
    expect(tokens.expiresAt).toBeGreaterThan(Date.now() / 1000 + 28_000);
    expect(tokens.refreshToken).toMatch(/^ghr_/);
  });

  it('takes the empty scope of a GitHub App’s tokens for what was asked, and that of an OAuth app for none', async () => {
    const provider = await open();
    const answered = async (accessToken: string): Promise<readonly string[]> => {
      fake.on('GET /user', () => ({ body: { id: 1 } }));
      fake.on('GET /user/emails', () => ({ body: [] }));
      fake.fault('POST /login/oauth/access_token', { body: { access_token: accessToken, scope: '' } });
      return (await signIn(provider)).tokens.scopes;
    };
    expect(await answered('ghu_app')).toEqual(['read:user', 'user:email']);
    expect(await answered('gho_app')).toEqual([]);
  });

  it('revokes at GitHub', async () => {
    const provider = await open();
    const { tokens } = await signIn(provider);
    await (provider as unknown as RevokesUpstreamTokens).revoke(tokens);
    expect(fake.knows(tokens.accessToken)).toBe(false);
  });

  it('identifies again with organisations', async () => {
    const provider = await open(['github-org']);
    const { tokens } = await signIn(provider);
    fake.person.organizations = [];
    expect((await (provider as unknown as Identifies).identify(tokens)).organizations).toEqual([]);
  });

  it.each([
    ['https://github.com', undefined, 'https://api.github.com'],
    ['https://ghes.corp.example/', undefined, 'https://ghes.corp.example/api/v3'],
    ['https://acme.ghe.com', undefined, 'https://api.acme.ghe.com'],
    ['https://ghes.corp.example', 'https://api.corp.example/x/', 'https://api.corp.example/x'],
  ])('base %s with API %s asks %s', async (baseUrl, apiUrl, expected) => {
    const asked: string[] = [];
    const outbound = {
      send: (url: URL) => {
        asked.push(url.href);
        return Promise.resolve({ status: 200, headers: new Headers(), text: '{"id":1}' });
      },
    };
    fake = await new FakeGitHub().listen();
    house = testHouse({ outbound });
    const settings = github.definition.settings.parse({ clientId: 'a', clientSecret: 'b', baseUrl, apiUrl });
    const provider = github.definition.create('github', settings, house) as LoginProvider & Identifies;
    await provider.identify({ accessToken: 'x', scopes: [] }).catch(() => {});
    expect(asked[0]).toBe(`${expected}/user`);
  });
});

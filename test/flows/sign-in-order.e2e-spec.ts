import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { FakeGitHub, octocat } from '../../src/testing/fake-github.js';
import { Browser, formsOf, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { CALLBACK, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

describe.each(databases())('the order of a sign-in on $name', (kind) => {
  let place: TestDatabase;
  let second: FakeGitHub;
  let house: WithGitHub;
  let client: TestClient;
  let database: Database;

  beforeAll(async () => {
    place = await kind.create();
    second = await new FakeGitHub({ clientId: 'corp-client', clientSecret: 'corp-secret' }).listen();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_RATE_LIMITS: 'off',
        GATEHOUSE_PROVIDERS: 'github,corp:github',
        GATEHOUSE_CORP_CLIENT_ID: 'corp-client',
        GATEHOUSE_CORP_CLIENT_SECRET: 'corp-secret',
        GATEHOUSE_CORP_BASE_URL: second.origin,
        GATEHOUSE_CORP_API_URL: second.origin,
        GATEHOUSE_ALLOW: 'github-org:acme',
      },
    });
    client = await TestClient.register(house.gatehouse.url);
    database = house.gatehouse.app.get(Database);
  });
  afterAll(async () => {
    await house?.close();
    await second?.close();
    await place?.drop();
  });
  afterEach(() => {
    house.github.person = octocat();
    house.github.denies = false;
    house.github.mend();
  });

  const count = async (table: 'codes' | 'grants' | 'attempts'): Promise<number> => {
    const rows = {
      codes: sql`SELECT id_hash FROM oauth_token WHERE kind = ${'AuthorizationCode'}`,
      grants: sql`SELECT id FROM oauth_grant`,
      attempts: sql`SELECT state_hash FROM oauth_attempt`,
    };
    return (await database.rows(rows[table])).length;
  };
  const made = async () => ({ codes: await count('codes'), grants: await count('grants') });
  /** A browser that goes no further than this upstream's door, with its page approved. */
  const atUpstream = async (): Promise<Browser> => {
    const browser = new Browser([house.github.origin, second.origin, new URL(CALLBACK).origin]);
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    return browser;
  };
  /** Where the upstream sends a browser that comes to it. */
  const callbackOf = async (browser: Browser): Promise<URL> =>
    new URL((await fetch(browser.stoppedAt, { redirect: 'manual' })).headers.get('location')!);

  it('sec-7, AS-5: every authorization response carries our `iss` once, whether it brings a code or an error', async () => {
    const responses: URL[] = [];
    const end = (browser: Browser) => responses.push(browser.stoppedAt);
    const fine = client.browser();
    await fine.open(client.authorizeUrl());
    await fine.press('provider=github');
    end(fine);
    await fine.open(client.authorizeUrl());
    end(fine);
    for (const parameters of [
      { code_challenge: undefined },
      { prompt: 'none' },
      { resource: 'https://other.example' },
    ]) {
      const broken = client.browser();
      await broken.open(client.authorizeUrl(parameters));
      end(broken);
    }
    const denying = client.browser();
    await denying.open(client.authorizeUrl());
    await denying.press('decision=deny');
    end(denying);
    house.github.denies = true;
    const refused = client.browser();
    await refused.open(client.authorizeUrl());
    await refused.press('provider=github');
    end(refused);
    house.github.denies = false;
    house.github.fault('GET /user', { status: 500, body: 'oops' });
    const failed = client.browser();
    await failed.open(client.authorizeUrl());
    await failed.press('provider=github');
    end(failed);

    expect(responses.map(({ searchParams }) => searchParams.get('error'))).toEqual([
      null,
      null,
      'invalid_request',
      expect.stringMatching(/_required$/),
      'invalid_target',
      'access_denied',
      'access_denied',
      'temporarily_unavailable',
    ]);
    for (const { searchParams } of responses) {
      expect(searchParams.getAll('iss')).toEqual([house.gatehouse.url]);
      expect(searchParams.has('code')).toBe(!searchParams.has('error'));
      expect(searchParams.get('state')).toBe('client-state');
    }
  });

  it('sec-8: no step before the last makes a code or a Grant, and asking for the end too early brings none', async () => {
    const before = await made();
    const browser = new Browser([house.github.origin, new URL(CALLBACK).origin]);
    const page = await browser.open(client.authorizeUrl());
    const uid = page.url.pathname.split('/').at(-1)!;
    const tooEarly = async (...paths: string[]): Promise<void> => {
      for (const path of paths) {
        const seen = await browser.open(
          `${house.gatehouse.url}/${path}/${uid}${path === 'authorize' ? '' : '/continue'}`,
        );
        expect(seen.headers.get('location') ?? '').not.toContain('code=');
      }
      expect(await made()).toEqual(before);
    };
    await tooEarly('login', 'consent');
    await browser.open(page.url);
    await browser.press('provider=github');
    const callback = (await fetch(browser.stoppedAt, { redirect: 'manual' })).headers.get('location')!;
    await tooEarly('login', 'consent');
    const finished = await browser.open(callback);
    expect(finished.headers.get('location')).toContain('code=');
    expect(await made()).toEqual({ codes: before.codes + 1, grants: before.grants + 1 });
  });

  it('sec-8: whoever skips our pages gets no code where they lead to', async () => {
    const before = await made();
    const { browser } = await signIn(client);
    for (const signedIn of [browser, client.browser()]) {
      const page = await signedIn.open(client.authorizeUrl(), 'cross-site');
      const uid = page.url.pathname.split('/').at(-1);
      await signedIn.open(`${house.gatehouse.url}/authorize/${uid}`, 'cross-site');
      expect(signedIn.last.headers.get('location') ?? '').not.toContain('code=');
    }
    expect(await made()).toEqual({ codes: before.codes + 1, grants: before.grants + 1 });
  });

  it.each<[string, (github: FakeGitHub) => void]>([
    ['no rule admits the person', (github) => (github.person = { ...octocat(), organizations: [], teams: [] })],
    ['the person refuses upstream', (github) => (github.denies = true)],
    ['the upstream gives no token', (github) => github.fault('POST /login/oauth/access_token', { status: 500 })],
    ['the upstream does not say who it is', (github) => github.fault('GET /user', { status: 500 })],
    ['the upstream does not say which organisations', (github) => github.fault('GET /user/orgs', { status: 500 })],
  ])('sec-8: there is no code and no Grant where %s', async (_, spoil) => {
    const before = await made();
    spoil(house.github);
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    const end = await browser.press('provider=github');
    expect((end.headers.get('location') ?? '') + end.text).not.toMatch(/[?&]code=/);
    expect(end.status === 403 || browser.stoppedAt.searchParams.has('error')).toBe(true);
    expect(await made()).toEqual(before);
  });

  it('sec-10, C1: consent names client, redirect host and scopes before the upstream hears anything, for each client anew', async () => {
    const asked = () => house.github.requests.length + second.requests.length;
    const { browser } = await signIn(client);
    for (const name of ['Another Client', 'And Another']) {
      const other = await TestClient.register(house.gatehouse.url, {
        client_name: name,
        redirect_uris: ['https://app.example/cb'],
      });
      const before = asked();
      const text = readable(await browser.open(other.authorizeUrl()));
      expect(text).toContain(name);
      expect(text).toContain('app.example');
      expect(text).toContain('Use the tools of this server in your name');
      expect(asked()).toBe(before);
    }
  });

  it('AS-19, sec-16: upstream state is made only by an approval, new and random each time, with S256 and one callback per provider', async () => {
    const states = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const before = await count('attempts');
      const browser = new Browser([house.github.origin, second.origin, new URL(CALLBACK).origin]);
      await browser.open(client.authorizeUrl());
      expect(await count('attempts')).toBe(before);
      await browser.press(i === 2 ? 'provider=corp' : 'provider=github');
      expect(await count('attempts')).toBe(before + 1);
      const { searchParams } = browser.stoppedAt;
      expect(searchParams.get('state')).toMatch(/^[\w-]{43}$/);
      expect(searchParams.get('state')).not.toBe('client-state');
      expect(searchParams.get('code_challenge_method')).toBe('S256');
      expect(searchParams.get('code_challenge')).not.toBe(client.authorizeUrl().searchParams.get('code_challenge'));
      expect(searchParams.get('redirect_uri')).toBe(`${house.gatehouse.url}/callback/${i === 2 ? 'corp' : 'github'}`);
      states.add(searchParams.get('state')!);
    }
    expect(states.size).toBe(3);
  });

  it('sec-16: an answer at the callback of another provider is refused, and spoils nothing', async () => {
    const browser = await atUpstream();
    const callback = await callbackOf(browser);
    const mixedUp = new URL(callback);
    mixedUp.pathname = '/callback/corp';
    const before = second.requests.length;
    const refused = await browser.open(mixedUp, 'cross-site');
    expect(refused.status).toBe(400);
    expect(second.requests.length).toBe(before);
    expect((await browser.open(callback, 'cross-site')).headers.get('location')).toContain('code=');
  });

  it('sec-16: without the cookie not even an error of the upstream is read', async () => {
    const browser = await atUpstream();
    const state = browser.stoppedAt.searchParams.get('state')!;
    const stranger = client.browser();
    for (const query of ['error=access_denied', 'code=x', 'error=access_denied&code=x']) {
      const seen = await stranger.open(`${house.gatehouse.url}/callback/github?state=${state}&${query}`, 'cross-site');
      expect(seen.status).toBe(400);
      expect(readable(seen)).toContain('began in another browser');
    }
    expect((await browser.open(await callbackOf(browser), 'cross-site')).headers.get('location')).toContain('code=');
  });

  it('AS-19, sec-14: state and Interaction are over ten minutes after they began', async () => {
    const one = await atUpstream();
    const late = await callbackOf(one);
    for (const latest of [
      sql`SELECT MAX(expires_at) AS ends FROM oauth_attempt`,
      sql`SELECT MAX(expires_at) AS ends FROM oauth_interaction`,
    ]) {
      const left = Number((await database.row<{ ends: number | string }>(latest))?.ends) - Date.now() / 1000;
      expect(left).toBeGreaterThan(500);
      expect(left).toBeLessThanOrEqual(601);
    }
    await database.commit([sql`UPDATE oauth_attempt SET expires_at = expires_at - 601`]);
    expect((await one.open(late, 'cross-site')).status).toBe(400);

    const other = client.browser();
    const page = await other.open(client.authorizeUrl());
    const form = formsOf(page)[0]!;
    await database.commit([sql`UPDATE oauth_interaction SET expires_at = expires_at - 601`]);
    const shown = await other.open(page.url);
    expect(shown.status).toBe(400);
    expect(readable(shown)).toContain('This sign-in is over');
    form.fields.append('provider', 'github');
    expect((await other.submit(form.action, form.fields)).status).toBe(400);
  });

  it('sec-14: an ended Interaction comes back by no cookie or form that the browser kept', async () => {
    for (const end of ['decision=deny', 'provider=github']) {
      const browser = client.browser();
      const page = await browser.open(client.authorizeUrl());
      const form = formsOf(page)[0]!;
      const cookies = browser.cookies.map((cookie) => ({ ...cookie }));
      await browser.press(end);
      const before = await made();
      browser.cookies.splice(0, browser.cookies.length, ...cookies);
      expect((await browser.open(page.url)).status).toBe(400);
      for (const [name, value] of [
        ['decision', 'approve'],
        ['provider', 'github'],
      ] as const) {
        const fields = new URLSearchParams(form.fields);
        fields.append(name, value);
        const seen = await browser.submit(form.action, fields);
        expect([end, name, seen.status]).toEqual([end, name, 400]);
      }
      expect(await made()).toEqual(before);
    }
  });

  it('I1, sec-3: a code goes to the redirect URI whose page was approved, whatever another request of the same browser named', async () => {
    const two = await TestClient.register(house.gatehouse.url, {
      client_name: 'Two Places',
      redirect_uris: ['https://one.example/cb', 'https://two.example/cb'],
    });
    const browser = new Browser(['https://one.example', 'https://two.example']);
    const first = await browser.open(two.authorizeUrl({ redirect_uri: 'https://one.example/cb', state: 'first' }));
    expect(readable(first)).toContain('one.example');
    const tab = browser.tab();
    await tab.open(two.authorizeUrl({ redirect_uri: 'https://two.example/cb', state: 'second' }));
    const form = formsOf(first)[0]!;
    form.fields.append('provider', 'github');
    form.fields.append('redirect_uri', 'https://two.example/cb');
    const action = new URL(form.action);
    action.searchParams.set('redirect_uri', 'https://two.example/cb');
    await browser.submit(action, form.fields);
    expect(`${browser.stoppedAt.origin}${browser.stoppedAt.pathname}`).toBe('https://one.example/cb');
    expect(browser.stoppedAt.searchParams.get('state')).toBe('first');
    const code = browser.stoppedAt.searchParams.get('code')!;
    const elsewhere = await two.redeem(code, { redirect_uri: 'https://two.example/cb' });
    expect([elsewhere.status, elsewhere.body.error]).toEqual([400, 'invalid_grant']);
    expect((await two.redeem(code, { redirect_uri: 'https://one.example/cb' })).status).toBe(200);
  });
});

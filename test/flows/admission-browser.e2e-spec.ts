import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EventRow } from '../../src/audit/event.entity.js';
import { Grants } from '../../src/oauth/grants.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { octocat } from '../../src/testing/fake-github.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { Users } from '../../src/users/users.js';
import { Browser, formsOf, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';

const DAY = 86_400;

describe.each(databases())('a browser that was signed in before, on $name', (kind) => {
  let place: TestDatabase;
  let house: WithGitHub;
  let oidc: FakeOidc;
  let client: TestClient;
  let nextId = 1000;

  beforeAll(async () => {
    place = await kind.create();
    oidc = await new FakeOidc().listen();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: place.url,
        GATEHOUSE_RATE_LIMITS: 'off',
        GATEHOUSE_PROVIDERS: 'github,oidc',
        GATEHOUSE_OIDC_ISSUER: oidc.issuer,
        GATEHOUSE_OIDC_CLIENT_ID: oidc.clientId,
        GATEHOUSE_OIDC_CLIENT_SECRET: oidc.clientSecret!,
        GATEHOUSE_ALLOW: 'github-org:acme,claim:groups=mcp',
        GATEHOUSE_ADMINS: 'github-team:acme/builders',
      },
    });
    client = await TestClient.register(house.gatehouse.url);
  });
  afterAll(async () => {
    await house?.close();
    await oidc?.close();
    await place?.drop();
  });
  beforeEach(() => {
    house.github.person = { ...octocat(), id: nextId++ };
    oidc.person = { sub: `alice-${nextId}`, name: 'Alice', groups: ['mcp'] };
  });
  afterEach(() => house.github.mend());

  const store = () => house.gatehouse.app.get(Database);
  const me = async () =>
    (await house.gatehouse.app.get(Users).findByIdentity('github', String(house.github.person.id)))!;
  /** Lets the last verdict and the last try be older. */
  const wait = async (seconds: number): Promise<void> => {
    const { id } = await me();
    await store().commit([
      sql`UPDATE identity SET last_used_at = last_used_at - ${seconds} WHERE user_id = ${id}`,
      sql`UPDATE admission SET tried_at = tried_at - ${seconds}, admitted_at = admitted_at - ${seconds} WHERE user_id = ${id}`,
    ]);
  };
  /** How many Grants were ever made: each code comes with one. */
  const made = async (): Promise<number> => (await store().rows(sql`SELECT id FROM oauth_grant`)).length;
  const asked = () => house.github.count('GET /user');
  const codeOf = (browser: Browser) => browser.stoppedAt.searchParams.get('code');
  const eventsOf = async (userId: string, type: string): Promise<EventRow[]> =>
    store()
      .repository(EventRow)
      .find({ where: { userId, type }, order: { id: 'ASC' } });

  it('sec-8: gets a code without the provider being asked only while the last check is younger than 15 minutes', async () => {
    const { browser } = await signIn(client);
    const before = asked();
    await wait(890);
    await browser.open(client.authorizeUrl());
    expect(codeOf(browser)).not.toBeNull();
    expect(asked()).toBe(before);
    await wait(20);
    await browser.open(client.authorizeUrl());
    expect(codeOf(browser)).not.toBeNull();
    await browser.open(client.authorizeUrl());
    expect(codeOf(browser)).not.toBeNull();
    expect(asked()).toBe(before + 1);
  });

  it('sec-8: of a person who left gets no code but the refusal; connections end, the browser is signed out, another account comes in', async () => {
    const { browser, refreshToken, accessToken } = await signIn(client);
    const { id } = await me();
    house.github.person.organizations = [];
    await wait(901);
    const before = await made();
    const page = await browser.open(client.authorizeUrl());
    expect(page.status).toBe(403);
    expect(readable(page)).toContain('no longer let this account in');
    expect(readable(page)).toContain(house.github.person.emails.find(({ primary }) => primary)!.email);
    expect(await made()).toBe(before);
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(401);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    expect(await house.gatehouse.app.get(Grants).ofUser(id)).toEqual([]);
    expect(await eventsOf(id, 'user.departed')).toHaveLength(1);
    expect(await store().rows(sql`SELECT uid FROM oauth_browser WHERE user_id = ${id}`)).toEqual([]);
    // The same page again, and a new navigation: nobody is signed in.
    expect((await browser.open(page.url)).status).toBe(403);
    const tab = browser.tab();
    const anew = await tab.open(client.authorizeUrl());
    expect([anew.status, anew.url.pathname.split('/')[1]]).toEqual([200, 'login']);
    // Another account, from the refusal.
    await browser.open(page.url);
    const buttons = await browser.open(new URL(/href="(\?another=1)"/.exec(browser.last.text)![1]!, page.url));
    expect(formsOf(buttons).flatMap((form) => [...form.buttons.keys()])).toContain('provider=oidc');
    await browser.press('provider=oidc');
    expect((await client.redeem(codeOf(browser)!)).status).toBe(200);
    expect(oidc.requests.findLast(({ url }) => url.pathname === '/authorize')?.url.searchParams.get('prompt')).toMatch(
      /login/,
    );
    expect(await eventsOf(id, 'user.departed')).toHaveLength(1);
  });

  it('sec-8: nor with prompt=none, nor for another client on the page that only wants “Allow”', async () => {
    const { browser } = await signIn(client);
    const other = await TestClient.register(house.gatehouse.url, { client_name: 'Another' });
    const page = await browser.open(other.authorizeUrl());
    expect(formsOf(page).flatMap((form) => [...form.buttons.keys()])).toContain('decision=approve');
    house.github.person.organizations = [];
    await wait(901);
    const before = await made();
    const refused = await browser.press('decision=approve');
    expect(refused.status).toBe(403);
    expect(readable(refused)).toContain('no longer let this account in');
    expect(await made()).toEqual(before);
    await browser.open(new URL('?another=1', page.url));
    await browser.press('provider=oidc');
    expect((await other.redeem(codeOf(browser)!)).status).toBe(200);

    house.github.person = { ...octocat(), id: nextId++ };
    const silent = await signIn(client);
    house.github.person.organizations = [];
    await wait(901);
    await silent.browser.open(client.authorizeUrl({ prompt: 'none' }));
    expect(silent.browser.stoppedAt.searchParams.get('error')).toBe('login_required');
  });

  it('the consent page itself refuses a person who left, and goes back to the application when they give up', async () => {
    const { browser } = await signIn(client);
    const other = await TestClient.register(house.gatehouse.url, { client_name: 'Another' });
    const page = await browser.open(other.authorizeUrl());
    house.github.person.organizations = [];
    await wait(901);
    expect((await browser.open(page.url)).status).toBe(403);
    await browser.press('decision=leave');
    expect(browser.stoppedAt.searchParams.get('error')).toBe('access_denied');
  });

  it('sec-8: a code is not redeemed once its person has left', async () => {
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    house.github.person.organizations = [];
    await wait(901);
    const { status, body } = await client.redeem(codeOf(browser)!);
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
  });

  it('while the provider cannot say, the last verdict stands for a day; then the person signs in anew, without an error', async () => {
    const { browser, refreshToken } = await signIn(client);
    house.github.fault('GET /user', 'reset');
    await wait(3600);
    await browser.open(client.authorizeUrl());
    expect(codeOf(browser)).not.toBeNull();
    await wait(DAY);
    const other = await TestClient.register(house.gatehouse.url, { client_name: 'Another' });
    for (const each of [client, other]) {
      const page = await browser.open(each.authorizeUrl());
      expect(page.status).toBe(200);
      expect(formsOf(page).flatMap((form) => [...form.buttons.keys()])).toEqual(
        expect.arrayContaining(['provider=github', 'provider=oidc']),
      );
      expect(formsOf(page).flatMap((form) => [...form.buttons.keys()])).not.toContain('decision=approve');
    }
    house.github.mend();
    await browser.press('provider=github');
    expect((await other.redeem(codeOf(browser)!)).status).toBe(200);
    expect((await client.refresh(refreshToken)).status).toBe(200);
  });

  it('where there is no way to ask, one new sign-in a day is asked for, and the person is known again', async () => {
    const { browser } = await signIn(client);
    const { id } = await me();
    await store().commit([sql`DELETE FROM upstream_token WHERE user_id = ${id}`]);
    await wait(DAY + 1);
    const page = await browser.open(client.authorizeUrl());
    expect([page.status, page.url.pathname.split('/')[1]]).toEqual([200, 'login']);
    await browser.press('provider=github');
    expect((await client.redeem(codeOf(browser)!)).status).toBe(200);
    expect((await me()).id).toBe(id);
  });

  it('AS-23: a person who took the upstream’s token back signs in anew, and what was connected ends', async () => {
    const { browser, refreshToken } = await signIn(client);
    house.github.forgetTokens();
    await wait(901);
    const page = await browser.open(client.authorizeUrl());
    expect(page.url.pathname).toMatch(/^\/login\//);
    expect(page.status).toBe(200);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    await browser.press('provider=github');
    expect((await client.redeem(codeOf(browser)!)).status).toBe(200);
  });

  describe('the account page', () => {
    const account = async (): Promise<Browser> => {
      const browser = new Browser([]);
      await browser.open(`${house.gatehouse.url}/account`);
      await browser.press('provider=github');
      expect(readable(browser.last)).toContain('Connected applications');
      return browser;
    };

    it('is closed to a person who left, and so is the form that makes a personal token', async () => {
      for (const act of ['open', 'post'] as const) {
        house.github.person = { ...octocat(), id: nextId++ };
        const browser = await account();
        const { id } = await me();
        const form = formsOf(browser.last).find(({ action }) => action.pathname === '/account/tokens')!;
        const fields = new URLSearchParams([...form.fields, ['name', 'mine'], ['days', '30']]);
        house.github.person.organizations = [];
        await wait(901);
        const seen =
          act === 'open'
            ? await browser.open(`${house.gatehouse.url}/account`)
            : await browser.submit(form.action, fields);
        expect(seen.status).toBe(403);
        expect(readable(seen)).toContain('let this account in');
        expect(await store().rows(sql`SELECT id FROM personal_token WHERE user_id = ${id}`)).toEqual([]);
        expect(await eventsOf(id, 'user.departed')).toHaveLength(1);
        const again = await browser.open(`${house.gatehouse.url}/account`);
        expect([again.status, readable(again).includes('Connected applications')]).toEqual([200, false]);
      }
    });

    it('asks no more often than every 15 minutes, and stays open while the provider cannot say', async () => {
      const browser = await account();
      const before = asked();
      for (let i = 0; i < 3; i++) await browser.open(`${house.gatehouse.url}/account`);
      expect(asked()).toBe(before);
      house.github.fault('GET /user', 'reset');
      await wait(901);
      for (let i = 0; i < 3; i++) await browser.open(`${house.gatehouse.url}/account`);
      expect(readable(browser.last)).toContain('Connected applications');
      expect(asked()).toBe(before + 1);
    });
  });

  it('GATEHOUSE_ADMINS: the role is taken, and given, when the browser is checked, with an Event', async () => {
    const { browser } = await signIn(client);
    const { id, roles } = await me();
    expect(roles).toEqual(['admin']);
    house.github.person.teams = [];
    await wait(901);
    await browser.open(client.authorizeUrl());
    expect(codeOf(browser)).not.toBeNull();
    expect((await me()).roles).toEqual([]);
    house.github.person.teams = ['acme/builders'];
    await wait(901);
    await browser.open(client.authorizeUrl());
    expect((await me()).roles).toEqual(['admin']);
    const changes = await eventsOf(id, 'user.roles_changed');
    expect(changes.map(({ actor, detail }) => ({ actor, detail }))).toEqual([
      { actor: 'system', detail: { from: ['admin'], to: [], by: 'GATEHOUSE_ADMINS' } },
      { actor: 'system', detail: { from: [], to: ['admin'], by: 'GATEHOUSE_ADMINS' } },
    ]);
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Usage } from '../../src/access/usage.js';
import { Grants } from '../../src/oauth/grants.js';
import { UpstreamTokenRow } from '../../src/oauth/upstream-token.entity.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { IDLE_SECONDS, LONGEST_SECONDS } from '../../src/account/account-sign-ins.js';
import { AccountSignInRow } from '../../src/account/account-sign-in.entity.js';
import { EventRow } from '../../src/audit/event.entity.js';
import { FlowRow } from '../../src/audit/flow.entity.js';
import { Flows } from '../../src/audit/flows.js';
import { FakeGitHub, octocat } from '../../src/testing/fake-github.js';
import { Identities } from '../../src/users/identities.js';
import { Users } from '../../src/users/users.js';
import { Browser, formsOf, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { changeUser } from '../people.js';

/** Opens the account page and signs in there. */
async function enter(house: WithGitHub, browser = new Browser([]), button = 'provider=github'): Promise<Browser> {
  await browser.open(`${house.gatehouse.url}/account`);
  await browser.press(button);
  return browser;
}

/** Fills in the form for a new personal token. */
async function makeToken(browser: Browser, fields: Record<string, string>): Promise<string | null> {
  const form = formsOf(browser.last).find(({ action }) => action.pathname === '/account/tokens')!;
  const body = new URLSearchParams(form.fields);
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const { text } = await browser.submit(form.action, body);
  return /gth_pat_[A-Za-z0-9_-]+/.exec(text)?.[0] ?? null;
}

describe.each(databases())('the account page on $name', (kind) => {
  let database: TestDatabase;
  let house: WithGitHub;
  let corp: FakeGitHub;

  beforeAll(async () => {
    database = await kind.create();
    corp = await new FakeGitHub({ clientId: 'corp-client', clientSecret: 'corp-secret' }).listen();
    corp.person = { ...octocat(), id: 7, login: 'corp-person', name: 'Corp Person' };
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: database.url,
        GATEHOUSE_PROVIDERS: 'github,corp-hub:github',
        GATEHOUSE_CORP_HUB_CLIENT_ID: 'corp-client',
        GATEHOUSE_CORP_HUB_CLIENT_SECRET: 'corp-secret',
        GATEHOUSE_CORP_HUB_BASE_URL: corp.origin,
        GATEHOUSE_CORP_HUB_API_URL: corp.origin,
        GATEHOUSE_DEFAULT_SCOPES: 'mcp',
        GATEHOUSE_REQUIRED_SCOPES: '',
      },
    });
  });
  afterAll(async () => {
    await house.close();
    await corp.close();
    await database.drop();
  });
  afterEach(() => {
    house.github.person = octocat();
    house.github.denies = false;
    corp.person = { ...octocat(), id: 7, login: 'corp-person', name: 'Corp Person' };
  });

  const events = (type: string) =>
    house.gatehouse.app
      .get(Database)
      .repository(EventRow)
      .find({ where: { type }, order: { id: 'ASC' } });

  it('signs in by the same providers, with a cookie of its own, and out again', async () => {
    const browser = new Browser([]);
    const door = await browser.open(`${house.gatehouse.url}/account`);
    expect(door.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(door.headers.get('cache-control')).toBe('no-store');
    await browser.press('provider=github');
    expect(browser.last.url.pathname).toBe('/account');
    expect(readable(browser.last)).toContain('as The Octocat (octocat@github.example)');
    const cookie = browser.cookies.find(({ name }) => name === 'gth_account')!;
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Lax', path: '/' });
    const rows = await house.gatehouse.app.get(Database).repository(AccountSignInRow).find();
    expect(JSON.stringify(rows)).not.toContain(cookie.value);
    await browser.press('leave=1');
    expect(readable(browser.last)).toContain('You are signed out');
    expect(browser.cookies.some(({ name }) => name === 'gth_account')).toBe(false);
    browser.cookies.push(cookie);
    expect(readable(await browser.open(`${house.gatehouse.url}/account`))).toContain('Sign in to your account');
  });

  it('ends after half an hour without a request, and after twelve hours however busy it is', async () => {
    const store = house.gatehouse.app.get(Database);
    const idle = await enter(house);
    await store.commit([sql`UPDATE account_sign_in SET seen_at = seen_at - ${IDLE_SECONDS}`]);
    expect(readable(await idle.open(`${house.gatehouse.url}/account`))).toContain('Sign in to your account');
    const busy = await enter(house);
    await store.commit([sql`UPDATE account_sign_in SET expires_at = expires_at - ${LONGEST_SECONDS}`]);
    expect(readable(await busy.open(`${house.gatehouse.url}/account`))).toContain('Sign in to your account');
  });

  it('sec-15: signing in again replaces the cookie, and the former value opens nothing', async () => {
    const browser = await enter(house);
    const former = { ...browser.cookies.find(({ name }) => name === 'gth_account')! };
    const door = await new Browser([]).open(`${house.gatehouse.url}/account`);
    expect(door.status).toBe(200);
    const again = new Browser([]);
    again.cookies.push({ ...former });
    // The door shows its form only to browsers that are not signed in: sign in a second time through an old tab's form.
    const tab = new Browser([]);
    await tab.open(`${house.gatehouse.url}/account`);
    tab.cookies.push({ ...former });
    await tab.press('provider=github');
    expect(tab.cookies.find(({ name }) => name === 'gth_account')!.value).not.toBe(former.value);
    expect(readable(await again.open(`${house.gatehouse.url}/account`))).toContain('Sign in to your account');
  });

  it('a sign-in that the person cancels, and one that GitHub does not answer, end on a page with the way back', async () => {
    house.github.denies = true;
    const browser = await enter(house);
    expect(browser.last.status).toBe(403);
    expect(readable(browser.last)).toContain('The sign-in was cancelled.');
    house.github.denies = false;
    house.github.fault('POST /login/oauth/access_token', 'reset');
    await enter(house, browser);
    house.github.fault('POST /login/oauth/access_token', null);
    expect(browser.last.status).toBe(503);
    expect(browser.last.text).toContain('href="/account"');
  });

  it('U5: a sign-in leaves its trace, and a failed one is found by the reference its page showed', async () => {
    const store = house.gatehouse.app.get(Database);
    const flows = house.gatehouse.app.get(Flows, { strict: false });
    await enter(house);
    await flows.settled();
    const [newest] = await store.repository(FlowRow).find({ order: { id: 'DESC' }, take: 1 });
    expect(newest).toMatchObject({ clientId: null, provider: 'github', outcome: 'done', failedCheck: null });
    const user = await house.gatehouse.app.get(Users).find(newest!.userId!);
    expect(user?.name).toBe('The Octocat');
    house.github.denies = true;
    const { text } = (await enter(house)).last;
    await flows.settled();
    const reference = /[0-9a-f]{12}/.exec(text)![0];
    const failed = await store.repository(FlowRow).findOneBy({ reference });
    expect(failed).toMatchObject({ outcome: 'refused', failedCheck: 'upstream-denied' });
  });

  it('a sign-in goes on at our own pages only', async () => {
    for (const next of ['https://evil.example/', '//evil.example', '/authorize', '/account/widen/../../x']) {
      const browser = new Browser(['https://evil.example']);
      await browser.open(`${house.gatehouse.url}/account`);
      const form = formsOf(browser.last)[0]!;
      const body = new URLSearchParams({ csrf: form.fields.get('csrf')!, next, provider: 'github' });
      await browser.submit(form.action, body);
      expect(browser.last.url.href).toBe(`${house.gatehouse.url}/account`);
    }
  });

  it('T10: shows what is connected, where it returns to and since when; disconnecting one ends it at once and leaves the other', async () => {
    const cursor = await TestClient.register(house.gatehouse.url, { client_name: 'Cursor <b>' });
    const first = await signIn(cursor);
    const claude = await TestClient.register(house.gatehouse.url, {
      client_name: 'Claude',
      redirect_uris: ['https://claude.example/callback'],
    });
    const second = await signIn(claude);
    const browser = await enter(house);
    const text = readable(browser.last);
    expect(text).toContain('Cursor <b>');
    expect(browser.last.text).not.toContain('Cursor <b>');
    expect(text).toContain('returns to claude.example');
    expect(text).toContain('Use the tools of this server in your name');
    expect(text).toMatch(/First used 20\d\d-/);
    const grants = await house.gatehouse.app.get(Grants).ofUser((await owner())!.id);
    const mine = grants.find(({ clientId }) => clientId === cursor.id)!;
    await browser.press(`grant=${mine.id}`);
    expect(readable(browser.last)).toContain('The application is disconnected.');
    expect((await callTool(house.gatehouse.mcpUrl, first.accessToken, 'hello', { name: 'x' })).status).toBe(401);
    expect((await cursor.refresh(first.refreshToken)).body.error).toBe('invalid_grant');
    expect((await callTool(house.gatehouse.mcpUrl, second.accessToken, 'hello', { name: 'x' })).status).toBe(200);
    const [ended] = (await events('grant.revoked')).slice(-1);
    expect(ended).toMatchObject({ actor: mine.userId, grantId: mine.id, detail: { reason: 'user' } });
  });

  it('disconnects everything', async () => {
    const clients = await Promise.all([
      TestClient.register(house.gatehouse.url),
      TestClient.register(house.gatehouse.url),
    ]);
    const signedIn = [await signIn(clients[0]), await signIn(clients[1])];
    const browser = await enter(house);
    await browser.press('all=1');
    expect(readable(browser.last)).toContain('All applications are disconnected.');
    for (const { accessToken } of signedIn)
      expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(401);
  });

  it('nobody disconnects or revokes what is another person’s', async () => {
    const victim = await signIn(await TestClient.register(house.gatehouse.url));
    const [grant] = await house.gatehouse.app.get(Grants).ofUser((await owner())!.id);
    house.github.person = { ...octocat(), id: 666, login: 'mallory', name: 'Mallory' };
    const browser = await enter(house);
    const csrf = formsOf(browser.last)[0]!.fields.get('csrf')!;
    await browser.submit(
      new URL('/account/disconnect', house.gatehouse.url),
      new URLSearchParams({ csrf, grant: grant!.id }),
    );
    expect((await callTool(house.gatehouse.mcpUrl, victim.accessToken, 'hello', { name: 'x' })).status).toBe(200);
  });

  it('personal tokens: the secret is shown once, works, shows its last use and ends when revoked', async () => {
    const browser = await enter(house);
    const token = await makeToken(browser, { name: 'Build server', days: '30', scope: 'mcp' });
    expect(token).not.toBeNull();
    expect((await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status).toBe(200);
    const answer = await (await callTool(house.gatehouse.mcpUrl, token, 'whoami')).text();
    expect(answer).toContain('octocat@github.example');
    expect(answer).toContain('personal-token');
    expect(readable(browser.last)).toContain('it is not shown again');
    await house.gatehouse.app.get(Usage).flush();
    await browser.open(`${house.gatehouse.url}/account`);
    expect(browser.last.text).not.toContain(token);
    expect(readable(browser.last)).toMatch(/Build server.*Last used 20\d\d-/);
    const id = /name="token" value="([^"]+)"/.exec(browser.last.text)![1]!;
    await browser.press(`token=${id}`);
    expect(readable(browser.last)).toContain('The token is revoked.');
    expect((await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status).toBe(401);
    expect(house.gatehouse.logs.join('\n')).not.toContain(token);
  });

  it('a personal token gets no permission that a person could not give, no odd life and no empty name', async () => {
    const browser = await enter(house);
    for (const fields of [
      { name: 'x', days: '30', scope: 'admin' },
      { name: 'x', days: '30', scope: 'made-up' },
      { name: 'x', days: '4000', scope: 'mcp' },
      { name: '  ', days: '30', scope: 'mcp' },
    ]) {
      await browser.open(`${house.gatehouse.url}/account`);
      expect(await makeToken(browser, fields)).toBeNull();
      expect(browser.last.status).toBe(400);
    }
  });

  it('sec-12: a form of another site, of another browser or of an earlier sign-in does nothing', async () => {
    const browser = await enter(house);
    const { fields } = formsOf(browser.last).find(({ action }) => action.pathname === '/account/disconnect-all') ?? {
      fields: formsOf(browser.last)[0]!.fields,
    };
    const url = new URL('/account/disconnect-all', house.gatehouse.url);
    const stranger = await enter(house);
    for (const csrf of ['', 'x'.repeat(43), formsOf(stranger.last)[0]!.fields.get('csrf')!]) {
      const { status } = await browser.submit(url, new URLSearchParams({ csrf, all: '1' }), 'cross-site');
      expect(status).toBe(403);
    }
    expect((await browser.submit(url, new URLSearchParams(fields))).status).toBe(200);
  });

  it('sec-18: a second account is added only by signing in with it here; then both open the same person', async () => {
    const browser = await enter(house);
    const me = (await owner())!;
    await press(browser, 'link', 'provider=corp-hub');
    expect(readable(browser.last)).toContain('The account was added.');
    expect(browser.last.text).toContain('value="corp-hub 7"');
    const other = await enter(house, new Browser([]), 'provider=corp-hub');
    expect(readable(other.last)).toContain('GitHub');
    const users = house.gatehouse.app.get(Users);
    expect((await users.findByIdentity('corp-hub', '7'))?.id).toBe(me.id);
    expect((await events('identity.linked')).at(-1)).toMatchObject({ userId: me.id });
    const kept = () =>
      house.gatehouse.app.get(Database).repository(UpstreamTokenRow).countBy({ userId: me.id, provider: 'corp-hub' });
    expect(await kept()).toBe(1);
    await other.press('identity=corp-hub 7');
    expect(await kept()).toBe(0);
    expect(await users.findByIdentity('corp-hub', '7')).toBeNull();
    expect(readable(other.last)).toContain('The only one');
    const csrf = formsOf(other.last)[0]!.fields.get('csrf')!;
    const last = new URLSearchParams({ csrf, identity: `github ${octocat().id}` });
    await other.submit(new URL('/account/unlink', house.gatehouse.url), last);
    expect((await users.findByIdentity('github', String(octocat().id)))?.id).toBe(me.id);
  });

  it('of two accounts taken away at once one stays', async () => {
    corp.person = { ...octocat(), id: 70, login: 'seventy', name: 'Seventy' };
    const browser = await enter(house);
    await press(browser, 'link', 'provider=corp-hub');
    const me = (await owner())!;
    const identities = house.gatehouse.app.get(Identities);
    const accounts = await identities.of(me.id);
    expect(accounts).toHaveLength(2);
    const done = await Promise.all(
      accounts.map(({ provider, subject }) => identities.unlink(me.id, { provider, subject })),
    );
    expect(done.filter(Boolean)).toHaveLength(1);
    const [left] = await identities.of(me.id);
    // Give the person of the other tests back their account.
    if (left?.provider === 'corp-hub')
      await house.gatehouse.app
        .get(Database)
        .commit([
          sql`UPDATE identity SET provider = ${'github'}, subject = ${String(octocat().id)} WHERE user_id = ${me.id}`,
        ]);
  });

  it('an account that belongs to another person is not taken over, whatever its e-mail address says', async () => {
    corp.person = { ...octocat(), id: 8, login: 'same-mail', name: 'Same Mail' };
    await enter(house, new Browser([]), 'provider=corp-hub');
    const users = house.gatehouse.app.get(Users);
    const stranger = await users.findByIdentity('corp-hub', '8');
    expect(stranger?.email).toBe('octocat@github.example');
    expect(stranger?.id).not.toBe((await owner())!.id);
    const browser = await enter(house);
    await press(browser, 'link', 'provider=corp-hub');
    expect(browser.last.status).toBe(409);
    expect((await users.findByIdentity('corp-hub', '8'))?.id).toBe(stranger?.id);
  });

  it('a link begun by one person is not finished for another who signed in meanwhile', async () => {
    const browser = await enter(house);
    corp.asksPerson = true;
    corp.person = { ...octocat(), id: 9, login: 'nine', name: 'Nine' };
    await press(browser, 'link', 'provider=corp-hub');
    const waiting = browser.last;
    corp.asksPerson = false;
    house.github.person = { ...octocat(), id: 555, login: 'five', name: 'Five' };
    const tab = browser.tab();
    await tab.open(`${house.gatehouse.url}/account`);
    await tab.press('leave=1');
    await tab.open(`${house.gatehouse.url}/account`);
    await tab.press('provider=github');
    const form = formsOf(waiting)[0]!;
    await browser.submit(form.action, new URLSearchParams([...form.fields, ['decision', 'allow']]));
    expect(await house.gatehouse.app.get(Users).findByIdentity('corp-hub', '9')).toBeNull();
  });

  it('a block ends the sign-in to the account page and every personal token at once, and nothing comes back', async () => {
    house.github.person = { ...octocat(), id: 77, login: 'blocked', name: 'Blocked' };
    const browser = await enter(house);
    const token = await makeToken(browser, { name: 'Mine', days: '7', scope: 'mcp' });
    const users = house.gatehouse.app.get(Users);
    const { id } = (await users.findByIdentity('github', '77'))!;
    expect((await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status).toBe(200);
    await changeUser(house.gatehouse.app, id, { status: 'blocked' });
    expect(readable(await browser.open(`${house.gatehouse.url}/account`))).toContain('Sign in to your account');
    expect((await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status).toBe(401);
    await browser.press('provider=github');
    expect(browser.last.status).toBe(403);
    await changeUser(house.gatehouse.app, id, { status: 'active' });
    expect(readable(await browser.open(`${house.gatehouse.url}/account`))).toContain('Sign in to your account');
    expect((await callTool(house.gatehouse.mcpUrl, token, 'whoami')).status).toBe(401);
  });

  async function owner() {
    return house.gatehouse.app.get(Users).findByIdentity('github', String(octocat().id));
  }
});

/** Presses a button of the form with this action: two forms have a button for a provider. */
async function press(browser: Browser, action: string, button: string): Promise<void> {
  const form = formsOf(browser.last).find(({ action: { pathname } }) => pathname === `/account/${action}`)!;
  const [name = '', value = ''] = button.split('=');
  await browser.submit(form.action, new URLSearchParams([...form.fields, [name, value]]));
}

describe.each(['on', 'off'])('with GATEHOUSE_RATE_LIMITS=%s', (limits) => {
  it('the sign-ins to the account page that one address can begin in a minute are counted, others’ are not', async () => {
    const house = await startWithGitHub({
      env: { GATEHOUSE_RATE_LIMITS: limits, GATEHOUSE_TRUSTED_PROXIES: '127.0.0.0/8,::1/128' },
    });
    try {
      const url = `${house.gatehouse.url}/account`;
      const page = await fetch(url);
      const cookie = page.headers
        .getSetCookie()
        .map((line) => line.split(';')[0])
        .join('; ');
      const csrf = /name="csrf" value="([^"]+)"/.exec(await page.text())![1]!;
      const begin = (from: string) =>
        fetch(`${url}/sign-in`, {
          method: 'POST',
          redirect: 'manual',
          headers: { cookie, 'x-forwarded-for': from, origin: house.gatehouse.url },
          body: new URLSearchParams({ csrf, provider: 'github', next: '/account' }),
        });
      const answers = [];
      for (let i = 0; i < 61; i++) answers.push(await begin('203.0.113.9'));
      expect(answers.slice(0, 60).every(({ status }) => status === 303)).toBe(true);
      const last = answers[60]!;
      expect(last.status).toBe(limits === 'on' ? 429 : 303);
      if (limits === 'on') {
        expect(last.headers.get('retry-after')).toMatch(/^[1-9]\d?$/);
        expect(await last.text()).toContain('Too many sign-ins at once');
      }
      expect((await begin('203.0.113.10')).status).toBe(303);
    } finally {
      await house.close();
    }
  });
});

import { randomBytes } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EventRow } from '../../src/audit/event.entity.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import { Browser, formsOf, readable } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, signIn, startWithGitHub, TestClient } from '../oauth-client.js';

const THERE = 'leave=provider';

describe.each(databases())('signing out at the account page on $name', (kind) => {
  let database: TestDatabase;
  let fake: FakeOidc;
  let gatehouse: RunningGatehouse;
  let env: Record<string, string>;
  let port: number;

  beforeAll(async () => {
    database = await kind.create();
    fake = await new FakeOidc().listen();
    port = await freePort();
    env = {
      GATEHOUSE_DATABASE_URL: database.url,
      GATEHOUSE_SECRET: randomBytes(32).toString('base64'),
      GATEHOUSE_PROVIDERS: 'oidc',
      GATEHOUSE_OIDC_ISSUER: fake.issuer,
      GATEHOUSE_OIDC_CLIENT_ID: fake.clientId,
      GATEHOUSE_OIDC_CLIENT_SECRET: fake.clientSecret ?? '',
      GATEHOUSE_OIDC_LABEL: 'Acme',
    };
    gatehouse = await startGatehouse({ port, env });
    fake.postLogoutRedirectUris = [`${gatehouse.url}/account`];
  });
  afterAll(async () => {
    await gatehouse.close();
    await fake.close();
    await database.drop();
  });
  beforeEach(() => {
    fake.requests.length = 0;
    fake.signedOut.length = 0;
  });
  afterEach(() => fake.mend());

  const enter = async (browser = new Browser([])): Promise<Browser> => {
    await browser.open(`${gatehouse.url}/account`);
    await browser.press('provider=oidc');
    return browser;
  };
  const leave = async (browser: Browser): Promise<Browser> => {
    await browser.press('leave=1');
    fake.requests.length = 0;
    return browser;
  };
  /** What the provider was asked when the button was pressed. */
  const asked = (): URL => fake.requests.find(({ url }) => url.pathname === '/logout')!.url;

  it('ends the sign-in here at once, and asks no provider and nobody’s session', async () => {
    const browser = await enter();
    await browser.open(`${gatehouse.url}/account`);
    fake.requests.length = 0;
    await browser.press('leave=1');
    expect(readable(browser.last)).toContain('You are signed out');
    expect(readable(browser.last)).toContain('Acme may still know you in this browser');
    expect(fake.requests).toEqual([]);
    await browser.open(`${gatehouse.url}/account`);
    expect(readable(browser.last)).toContain('Sign in to your account');
    const events = await gatehouse.app.get(Database).repository(EventRow).findBy({ type: 'account.signed_out' });
    expect(events.at(-1)).toMatchObject({ provider: 'oidc', outcome: 'ok' });
  });

  it('the next person at this browser connects nothing in the former one’s name; what was connected goes on', async () => {
    const client = await TestClient.register(gatehouse.url);
    const { browser, accessToken } = await signIn(client, { button: 'provider=oidc' });
    await leave(await enter(browser));
    await browser.open(client.authorizeUrl());
    expect(browser.last.url.pathname).toMatch(/^\/login\//);
    expect(readable(browser.last)).not.toContain('Alice');
    expect((await callTool(gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(200);
  });

  it('signs out at the provider when the person asks for it: hint, client, our account page and state, and nothing else', async () => {
    const browser = await leave(await enter());
    const page = browser.last.text;
    expect(page).toContain('Sign out of Acme too');
    await browser.press(THERE);
    expect([...asked().searchParams.keys()].toSorted()).toEqual([
      'client_id',
      'id_token_hint',
      'post_logout_redirect_uri',
      'state',
    ]);
    expect(asked().searchParams.get('post_logout_redirect_uri')).toBe(`${gatehouse.url}/account`);
    expect(fake.signedOut).toEqual(['alice-1']);
    // The id_token says who the person is: it does not lie about in a page on a shared computer.
    expect(page).not.toContain(asked().searchParams.get('id_token_hint'));
    expect(browser.last.url.pathname).toBe('/account');
    expect(readable(browser.last)).toContain('You are signed out here, and Acme has sent you back.');
    expect(browser.last.headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('hints at the session of this browser: Auth0 refuses the id_token of another one', async () => {
    const [here, there] = [await enter(), await enter()];
    const nonces: unknown[] = [];
    for (const browser of [await leave(here), await leave(there)]) {
      await browser.press(THERE);
      nonces.push(decodeJwt(asked().searchParams.get('id_token_hint')!)['nonce']);
      fake.requests.length = 0;
    }
    expect(new Set(nonces).size).toBe(2);
  });

  it('the state of another browser, or a made-up one, says nothing', async () => {
    const browser = await leave(await enter());
    await browser.press(THERE);
    const { href } = browser.last.url;
    expect(readable(await new Browser([]).open(href))).not.toContain('sent you back');
    expect(readable(await browser.open(`${gatehouse.url}/account?state=oidc.made-up`))).not.toContain('sent you back');
    expect(readable(await browser.open(href))).toContain('sent you back');
  });

  it('sec-12: a form of another site, or of another browser, signs nobody out', async () => {
    const browser = await enter();
    const stranger = await enter();
    const csrf = formsOf(stranger.last)[0]!.fields.get('csrf')!;
    for (const path of ['/account/sign-out', '/account/sign-out/provider']) {
      for (const fields of [{ leave: '1' }, { csrf, leave: '1' }])
        expect(
          (await browser.submit(new URL(path, gatehouse.url), new URLSearchParams(fields), 'cross-site')).status,
        ).toBe(403);
    }
    await browser.open(`${gatehouse.url}/account`);
    expect(readable(browser.last)).toContain('My account');
    expect(fake.count('GET /logout')).toBe(0);
  });

  it('nothing of a request says where the browser goes', async () => {
    const browser = await leave(await enter());
    const { action, fields } = formsOf(browser.last).find(({ buttons }) => buttons.has(THERE))!;
    const evil = 'https://evil.example/';
    for (const name of ['post_logout_redirect_uri', 'state', 'next', 'provider', 'id_token_hint'])
      fields.set(name, evil);
    await browser.submit(new URL(`${action.href}?post_logout_redirect_uri=${evil}`), fields);
    expect(asked().href).not.toContain('evil');
    expect(browser.last.url.origin).toBe(gatehouse.url);
    fake.requests.length = 0;
    fields.set('ticket', `${fields.get('ticket')!.slice(0, -6)}AAAAAA`);
    await browser.submit(action, fields);
    expect(fake.count('GET /logout')).toBe(0);
    expect(browser.last.url.href).toBe(`${gatehouse.url}/account`);
  });

  it('a sign-in whose id_token nobody can open any more signs out by the client id', async () => {
    const browser = await enter();
    await gatehouse.app.get(Database).commit([sql`UPDATE account_sign_in SET id_token = ${'v1.gone.gone.gone'}`]);
    await leave(browser);
    await browser.press(THERE);
    expect(asked().searchParams.has('id_token_hint')).toBe(false);
    expect(asked().searchParams.get('client_id')).toBe(fake.clientId);
  });

  it('offers nothing where the provider has no end-session endpoint, or cannot be asked', async () => {
    const browser = await enter();
    await gatehouse.close();
    fake.metadata = { end_session_endpoint: undefined };
    gatehouse = await startGatehouse({ port, env });
    await browser.open(`${gatehouse.url}/account`);
    await browser.press('leave=1');
    expect(readable(browser.last)).toContain('If others use it too, sign out at Acme as well.');
    expect(browser.last.text).not.toContain('Sign out of Acme too');

    await enter(browser);
    await gatehouse.close();
    fake.metadata = {};
    fake.fault('GET /.well-known/openid-configuration', { status: 503, body: '' });
    gatehouse = await startGatehouse({ port, env });
    await browser.open(`${gatehouse.url}/account`);
    await browser.press('leave=1');
    expect(readable(browser.last)).toContain('You are signed out');
    expect(browser.last.text).not.toContain('Sign out of Acme too');
    await browser.open(`${gatehouse.url}/account`);
    expect(readable(browser.last)).toContain('Sign in to your account');
  });

  it('no id_token stands in the database in clear', async () => {
    fake.mend();
    await enter();
    const rows = await gatehouse.app
      .get(Database)
      .rows<{ id_token: string | null }>(sql`SELECT id_token FROM account_sign_in WHERE id_token IS NOT NULL`);
    expect(rows.length).toBeGreaterThan(0);
    for (const { id_token: sealed } of rows) expect(sealed).not.toMatch(/^eyJ/);
  });
});

describe('signing out of an account that came from GitHub', () => {
  it('says that GitHub still knows the person, and offers what there is', async () => {
    const house = await startWithGitHub();
    const browser = new Browser([]);
    await browser.open(`${house.gatehouse.url}/account`);
    await browser.press('provider=github');
    await browser.press('leave=1');
    expect(readable(browser.last)).toContain('GitHub may still know you in this browser');
    expect(browser.last.text).not.toContain('too</button>');
    await house.close();
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FlowList } from '../../src/audit/flow-list.js';
import { Users } from '../../src/users/users.js';
import { octocat } from '../../src/testing/fake-github.js';
import { FakeGitHub } from '../../src/testing/fake-github.js';
import { readable } from '../browser.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { changeUser } from '../people.js';

describe('consent and who may come in', () => {
  let house: WithGitHub;
  let second: FakeGitHub;

  beforeAll(async () => {
    second = await new FakeGitHub({ clientId: 'corp-client', clientSecret: 'corp-secret' }).listen();
    second.person = { ...octocat(), id: 7, login: 'corp-person', name: 'Corp Person' };
    house = await startWithGitHub({
      env: {
        GATEHOUSE_PROVIDERS: 'corp-hub:github,github',
        GATEHOUSE_CORP_HUB_CLIENT_ID: 'corp-client',
        GATEHOUSE_CORP_HUB_CLIENT_SECRET: 'corp-secret',
        GATEHOUSE_CORP_HUB_BASE_URL: second.origin,
        GATEHOUSE_CORP_HUB_API_URL: second.origin,
        GATEHOUSE_ALLOW: 'github-org:acme,email:friend@example.com',
        GATEHOUSE_ADMINS: 'github-team:acme/builders',
      },
    });
  });
  afterAll(async () => {
    await house.close();
    await second.close();
  });
  afterEach(() => {
    house.github.person = octocat();
  });

  it('a button for each provider in the operator’s order; whoami says which way the person came', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Two Buttons' });
    const browser = client.browser();
    const { text } = await browser.open(client.authorizeUrl());
    expect(text.indexOf('value="corp-hub"')).toBeLessThan(text.indexOf('value="github"'));
    const { accessToken } = await signIn(client, { browser, button: 'provider=corp-hub' });
    expect(await (await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami')).text()).toContain('corp-hub');
  });

  it('C4: a signed-in person presses one button; remembered approvals skip the page only for navigations the person started', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Remembering' });
    const { browser } = await signIn(client);
    const upstreamRequests = house.github.requests.length;
    await browser.open(client.authorizeUrl(), 'none');
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
    const page = await browser.open(client.authorizeUrl(), 'cross-site');
    expect(page.status).toBe(200);
    expect(readable(page)).toContain('You are signed in as The Octocat');
    await browser.press('decision=approve');
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
    expect(house.github.requests.length).toBe(upstreamRequests);
  });

  it('sec-13: another Client, redirect or browser asks again', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'First' });
    const { browser } = await signIn(client);
    const other = await TestClient.register(house.gatehouse.url, { client_name: 'Second' });
    expect((await browser.open(other.authorizeUrl())).status).toBe(200);
    expect((await client.browser().open(client.authorizeUrl())).status).toBe(200);
  });

  it('A1: another port of the loopback redirect is the same approval', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Ports' });
    const { browser } = await signIn(client);
    await browser
      .open(client.authorizeUrl({ redirect_uri: client.redirectUri.replace('19123', '19124') }))
      .catch(() => null);
    expect(
      browser.last.url.href.includes('code=') || (browser.last.headers.get('location') ?? '').includes('code='),
    ).toBe(true);
  });

  it('“not you?” signs in somebody else, who gets their own Grant', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Switching' });
    const { browser } = await signIn(client);
    house.github.person = { ...octocat(), id: 99, login: 'hubot', name: 'Hubot' };
    const page = await browser.open(client.authorizeUrl(), 'cross-site');
    expect(readable(page)).toContain('Not The Octocat?');
    await browser.press('provider=github');
    const { body } = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    expect(await (await callTool(house.gatehouse.mcpUrl, body.access_token!, 'whoami')).text()).toContain('Hubot');
    expect(readable(await browser.open(client.authorizeUrl(), 'cross-site'))).toContain('Not Hubot?');
  });

  it('C3: two people sign in at once in two tabs of one browser: each tab gets its own person', async () => {
    const one = await TestClient.register(house.gatehouse.url, { client_name: 'Tab One' });
    const two = await TestClient.register(house.gatehouse.url, { client_name: 'Tab Two' });
    const first = one.browser();
    await first.open(one.authorizeUrl());
    const second = first.tab();
    await second.open(two.authorizeUrl());
    await first.press('provider=github');
    await second.press('provider=corp-hub');
    const names: string[] = [];
    for (const [client, browser] of [
      [one, first],
      [two, second],
    ] as const) {
      const { body } = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
      names.push(await (await callTool(house.gatehouse.mcpUrl, body.access_token!, 'whoami')).text());
    }
    expect(names[0]).toContain('The Octocat');
    expect(names[1]).toContain('Corp Person');
  });

  it('a person whom no rule admits sees which account they used and whom to ask; the client gets access_denied', async () => {
    house.github.person = { ...octocat(), id: 5, login: 'outsider', organizations: [], teams: [] };
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Refusing' });
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    const page = await browser.press('provider=github');
    expect(page.status).toBe(403);
    const text = readable(page);
    expect(text).toContain('octocat@github.example');
    expect(text).toContain('ask whoever runs this server');
    const reference = /reference (?:<code>)?([0-9a-f]{12})/.exec(text)?.[1];
    expect(house.gatehouse.logs.join('\n')).toContain(reference);
    await browser.press('decision=leave');
    expect(browser.stoppedAt.searchParams.get('error')).toBe('access_denied');
  });

  it('U5: the reference on a page finds the trace of its sign-in, step by step, with the check that failed', async () => {
    house.github.person = { ...octocat(), id: 5, login: 'outsider', organizations: [], teams: [] };
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Traced' });
    const browser = client.browser();
    await browser.open(client.authorizeUrl());
    const reference = /[0-9a-f]{12}/.exec(readable(await browser.press('provider=github')))![0];
    const list = house.gatehouse.app.get(FlowList, { strict: false });
    const find = async () => (await list.page({ reference }, { limit: 1, after: null })).items[0];
    const refused = await find();
    expect(refused).toMatchObject({ outcome: 'refused', failedCheck: 'not-admitted', clientId: client.id });
    house.github.person = octocat();
    await browser.open(browser.seen.find(({ url }) => url.pathname.startsWith('/login/'))!.url);
    await browser.press('provider=github');
    await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    const finished = await find();
    expect(finished?.outcome).toBe('done');
    expect(finished?.steps.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['registration', 'authorize', 'upstream', 'callback', 'consent', 'token']),
    );
  });

  it('a refused person may use another account in the same sign-in', async () => {
    house.github.person = { ...octocat(), id: 5, login: 'outsider', organizations: [], teams: [] };
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Second Chance' });
    const browser = client.browser();
    const page = await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    await browser.open(page.url);
    house.github.person = octocat();
    await browser.press('provider=github');
    expect(browser.stoppedAt.searchParams.has('code')).toBe(true);
  });

  it('a blocked person’s token is refused at the next request, as are refresh and a new login', async () => {
    house.github.person = { ...octocat(), id: 66, login: 'naughty' };
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Blocking' });
    const { accessToken, refreshToken, browser } = await signIn(client);
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(200);
    const users = house.gatehouse.app.get(Users, { strict: false });
    const person = await users.findByIdentity('github', '66');
    await changeUser(house.gatehouse.app, person!.id, { status: 'blocked' });
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'whoami')).status).toBe(401);
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    const page = await browser.open(client.authorizeUrl());
    expect(page.status).toBe(200);
    expect(readable(page)).not.toContain('You are signed in');
    const refused = await browser.press('provider=github');
    expect(refused.status).toBe(403);
    expect(readable(refused)).toContain('blocked');
  });

  it('a rule makes an administrator at login', async () => {
    const client = await TestClient.register(house.gatehouse.url, { client_name: 'Admins' });
    await signIn(client);
    const users = house.gatehouse.app.get(Users, { strict: false });
    expect((await users.findByIdentity('github', '583231'))!.roles).toEqual(['admin']);
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EventRow } from '../../src/audit/event.entity.js';
import { Grants } from '../../src/oauth/grants.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { octocat } from '../../src/testing/fake-github.js';
import { UserChanges } from '../../src/users/user-changes.js';
import { Users } from '../../src/users/users.js';
import { databases, type TestDatabase } from '../databases.js';
import { callTool, signIn, startWithGitHub, TestClient, type WithGitHub } from '../oauth-client.js';
import { PersonalTokens } from '../../src/access/personal-tokens.js';
import { OwnTokens } from '../../src/oauth/own-tokens.verifier.js';
import { UPSTREAM_TOKENS, type UpstreamTokenSource } from '../../src/providers/upstream-tokens.js';
import { Admission } from '../../src/oauth/admission.js';

describe.each(databases())('allow rules after the sign-in on $name', (kind) => {
  let database: TestDatabase;
  let house: WithGitHub;
  let nextId = 1000;

  beforeAll(async () => {
    database = await kind.create();
    house = await startWithGitHub({
      env: {
        GATEHOUSE_DATABASE_URL: database.url,
        GATEHOUSE_ALLOW: 'github-org:acme',
        GATEHOUSE_ADMINS: 'github-team:acme/builders',
      },
    });
  });
  afterAll(async () => {
    await house.close();
    await database.drop();
  });
  beforeEach(() => {
    house.github.person = { ...octocat(), id: nextId++ };
  });
  afterEach(() => house.github.fault('GET /user', null));

  const upstreamAsked = () => house.github.requests.filter(({ url }) => url.pathname === '/user').length;
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
  const connect = async () => {
    const client = await TestClient.register(house.gatehouse.url);
    const signedIn = await signIn(client);
    let { refreshToken } = signedIn;
    return {
      ...signedIn,
      client,
      /** Refreshes, and goes on with the new token. */
      refresh: async () => {
        const answer = await client.refresh(refreshToken);
        refreshToken = answer.body.refresh_token ?? refreshToken;
        return answer;
      },
    };
  };

  it('are checked at a refresh, at most every 15 minutes for each person', async () => {
    const { refresh } = await connect();
    const before = upstreamAsked();
    expect((await refresh()).status).toBe(200);
    expect(upstreamAsked()).toBe(before);
    await wait(901);
    expect((await refresh()).status).toBe(200);
    expect((await refresh()).status).toBe(200);
    expect(upstreamAsked()).toBe(before + 1);
  });

  it('somebody who left the organisation loses access: refresh answers invalid_grant, the Grant is revoked, with Events', async () => {
    const { refresh, accessToken, client, browser } = await connect();
    house.github.person.organizations = [];
    await wait(901);
    const { id } = await me();
    const { status, body } = await refresh();
    expect([status, body.error]).toEqual([400, 'invalid_grant']);
    expect((await callTool(house.gatehouse.mcpUrl, accessToken, 'hello', { name: 'x' })).status).toBe(401);
    expect(await house.gatehouse.app.get(Grants).ofUser(id)).toEqual([]);
    const events = await store()
      .repository(EventRow)
      .find({ where: { userId: id }, order: { id: 'ASC' } });
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['grant.revoked', 'user.departed']));
    expect(events.find(({ type }) => type === 'grant.revoked')).toMatchObject({
      actor: 'system',
      detail: { reason: 'not-admitted' },
    });
    // The browser that was signed in must prove the person anew, and no rule admits them.
    await browser.open(client.authorizeUrl());
    await browser.press('provider=github');
    expect(browser.last.status).toBe(403);
    house.github.person.organizations = ['Acme'];
    expect((await signIn(client)).answer.status).toBe(200);
  });

  it('somebody who left loses their personal tokens too, without a tool call waiting for the upstream', async () => {
    await connect();
    const { id } = await me();
    const tokens = house.gatehouse.app.get(PersonalTokens);
    const { token } = await tokens.create({ name: 't', userId: id, scopes: ['mcp'], expiresAt: null, actor: id });
    house.github.person.organizations = [];
    await wait(901);
    expect((await callTool(house.gatehouse.mcpUrl, token, 'hello', { name: 'x' })).status).toBe(200);
    await house.gatehouse.app.get(Admission).settled();
    expect((await callTool(house.gatehouse.mcpUrl, token, 'hello', { name: 'x' })).status).toBe(401);
  });

  it('T6: an upstream that is down leaves the last verdict standing for a day; then refresh answers 503 and the token stays good', async () => {
    const { refresh } = await connect();
    house.github.fault('GET /user', 'reset');
    await wait(3600);
    expect((await refresh()).status).toBe(200);
    await wait(86_400);
    const refused = await refresh();
    expect([refused.status, refused.body.error]).toEqual([503, 'temporarily_unavailable']);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    house.github.fault('GET /user', null);
    expect((await refresh()).status).toBe(200);
  });

  it('T2, AS-23: a person who took the upstream’s token back needs one new sign-in', async () => {
    const { refresh, client } = await connect();
    house.github.forgetTokens();
    await wait(901);
    expect((await refresh()).body.error).toBe('invalid_grant');
    const again = await signIn(client);
    expect((await client.refresh(again.refreshToken)).status).toBe(200);
  });

  it('where nothing is known of the person any more, the last verdict stands for a day', async () => {
    const { refresh } = await connect();
    const { id } = await me();
    await store().commit([sql`DELETE FROM upstream_token WHERE user_id = ${id}`]);
    await wait(3600);
    expect((await refresh()).status).toBe(200);
    await wait(86_400);
    expect((await refresh()).body.error).toBe('invalid_grant');
  });

  it('GATEHOUSE_ADMINS gives the role admin at login and takes it back when no rule matches any more', async () => {
    await connect();
    expect((await me()).roles).toEqual(['admin']);
    house.github.person.teams = [];
    await connect();
    expect((await me()).roles).toEqual([]);
  });

  it('erasing leaves nothing of the person but a pseudonym in the audit log', async () => {
    const { accessToken, refresh } = await connect();
    const { id, name, email } = await me();
    const tokens = house.gatehouse.app.get(PersonalTokens);
    const { token } = await tokens.create({ name: 'mine', userId: id, scopes: ['mcp'], expiresAt: null, actor: id });
    await wait(901);
    await refresh();
    await house.gatehouse.app.get(UserChanges).erase(id, { actor: 'admin-token' });
    for (const bearer of [accessToken, token])
      expect((await callTool(house.gatehouse.mcpUrl, bearer, 'hello', { name: 'x' })).status).toBe(401);
    expect((await refresh()).body.error).toBe('invalid_grant');
    const columns = {
      gatehouse_user: 'id',
      identity: 'user_id',
      oauth_grant: 'user_id',
      oauth_token: 'user_id',
      oauth_consent: 'user_id',
      oauth_browser: 'user_id',
      upstream_token: 'user_id',
      personal_token: 'user_id',
      account_sign_in: 'user_id',
      step_up_link: 'user_id',
      admission: 'user_id',
    };
    for (const [table, column] of Object.entries(columns))
      expect(await store().source.query(`SELECT * FROM ${table} WHERE ${column} = '${id}'`), table).toEqual([]);
    const events = await store().repository(EventRow).findBy({ userId: id });
    expect(events.length).toBeGreaterThan(2);
    expect(JSON.stringify(events)).not.toContain(name);
    expect(JSON.stringify(events)).not.toContain(email);
  });
});

describe('GATEHOUSE_ALLOW=*', () => {
  it('asks no upstream at a refresh', async () => {
    const house = await startWithGitHub();
    const client = await TestClient.register(house.gatehouse.url);
    const { refreshToken } = await signIn(client);
    await house.gatehouse.app.get(Database).commit([sql`UPDATE identity SET last_used_at = last_used_at - ${100_000}`]);
    const before = house.github.requests.length;
    expect((await client.refresh(refreshToken)).status).toBe(200);
    expect(house.github.requests.length).toBe(before);
    await house.close();
  });

  it('T2, AS-23: tokens that a tool found dead end the connection at its next refresh, and the browser signs in anew', async () => {
    const house = await startWithGitHub();
    const client = await TestClient.register(house.gatehouse.url);
    const { refreshToken, accessToken, browser } = await signIn(client);
    const person = await house.gatehouse.app.get(OwnTokens).verify(accessToken);
    const upstream = house.gatehouse.app.get<UpstreamTokenSource>(UPSTREAM_TOKENS);
    await upstream.refused(person!, await upstream.tokenFor(person!, 'github'));
    expect((await client.refresh(refreshToken)).body.error).toBe('invalid_grant');
    await browser.open(client.authorizeUrl());
    expect(browser.last.url.pathname).toMatch(/^\/login\//);
    await browser.press('provider=github');
    const again = await client.redeem(browser.stoppedAt.searchParams.get('code')!);
    expect((await client.refresh(again.body.refresh_token!)).status).toBe(200);
    await house.close();
  });
});

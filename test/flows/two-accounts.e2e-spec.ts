import { Injectable } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { PersonalTokens } from '../../src/access/personal-tokens.js';
import { EventRow } from '../../src/audit/event.entity.js';
import { Tool, Upstream, UpstreamRefused, type UpstreamToken } from '../../src/index.js';
import { UpstreamTokenRow } from '../../src/oauth/upstream-token.entity.js';
import { Database } from '../../src/persistence/database.js';
import { sql } from '../../src/persistence/statement.js';
import { FakeOidc } from '../../src/testing/fake-oidc.js';
import type { UserRow } from '../../src/users/user.entity.js';
import { Users } from '../../src/users/users.js';
import { Browser, formsOf } from '../browser.js';
import { databases, type TestDatabase } from '../databases.js';
import { freePort, type RunningGatehouse, startGatehouse } from '../gatehouse.js';
import { callTool, signIn, TestClient } from '../oauth-client.js';

/** Where the tool asks whose token it holds. */
let userinfo = '';

@Injectable()
class MailTools {
  @Tool({ description: 'Whose mailbox is it', input: z.object({}) })
  async mailbox(_: object, @Upstream('oidc') token: UpstreamToken): Promise<string> {
    const answer = await fetch(userinfo, { headers: { authorization: `Bearer ${token.accessToken}` } });
    if (answer.status === 401) throw new UpstreamRefused(token);
    return ((await answer.json()) as { sub: string }).sub;
  }
}

const person = (sub: string) => ({
  sub,
  email: `${sub}@acme.example`,
  email_verified: true,
  name: sub,
  groups: ['mcp'],
});

interface Connection {
  readonly client: TestClient;
  readonly browser: Browser;
  readonly accessToken: string;
  refreshToken: string;
}

describe.each(databases())('two accounts of one person at one provider on $name', (kind) => {
  let database: TestDatabase;
  let fake: FakeOidc;
  let gatehouse: RunningGatehouse;
  let round = 0;
  /** Subjects of this test's accounts. */
  let work: string;
  let home: string;

  beforeAll(async () => {
    database = await kind.create();
    fake = await new FakeOidc().listen();
    fake.alwaysRefreshes = true;
    userinfo = `${fake.origin}/userinfo`;
    gatehouse = await startGatehouse({
      port: await freePort(),
      tools: [MailTools],
      env: {
        GATEHOUSE_DATABASE_URL: database.url,
        GATEHOUSE_PROVIDERS: 'oidc',
        GATEHOUSE_OIDC_ISSUER: fake.issuer,
        GATEHOUSE_OIDC_CLIENT_ID: fake.clientId,
        GATEHOUSE_OIDC_CLIENT_SECRET: fake.clientSecret ?? '',
        GATEHOUSE_OIDC_LABEL: 'Acme',
        GATEHOUSE_ALLOW: 'claim:groups=mcp',
        GATEHOUSE_ADMIN_TOKEN: 'an-admin-token-of-more-than-32-characters',
      },
    });
  });
  afterAll(async () => {
    await gatehouse.close();
    await fake.close();
    await database.drop();
  });
  beforeEach(async () => {
    round++;
    [work, home] = [`work-${round}`, `home-${round}`];
    fake.mend();
    fake.expiresIn = 3600;
    await joinAccounts();
  });

  const store = () => gatehouse.app.get(Database);
  const me = async (): Promise<UserRow> => (await gatehouse.app.get(Users).findByIdentity('oidc', work))!;
  const account = async (subject: string): Promise<Browser> => {
    fake.person = person(subject);
    const browser = new Browser([]);
    await browser.open(`${gatehouse.url}/account`);
    return browser.press('provider=oidc').then(() => browser);
  };
  /** One person with both accounts. */
  const joinAccounts = async (): Promise<void> => {
    const browser = await account(work);
    fake.person = person(home);
    const link = formsOf(browser.last).find(({ action }) => action.pathname === '/account/link')!;
    await browser.submit(link.action, new URLSearchParams([...link.fields, ['provider', 'oidc']]));
    fake.requests.length = 0;
  };
  const connect = async (subject: string, browser?: Browser): Promise<Connection> => {
    fake.person = person(subject);
    const client = await TestClient.register(gatehouse.url, { client_name: `Client of ${subject}` });
    const { accessToken, refreshToken, ...rest } = await signIn(client, {
      button: 'provider=oidc',
      ...(browser ? { browser } : {}),
    });
    return { client, accessToken, refreshToken, browser: rest.browser };
  };
  const mailbox = async (token: string): Promise<string> => (await callTool(gatehouse.mcpUrl, token, 'mailbox')).text();
  const refresh = async (connection: Connection): Promise<string | undefined> => {
    const { status, body } = await connection.client.refresh(connection.refreshToken);
    connection.refreshToken = body.refresh_token ?? connection.refreshToken;
    return status === 200 ? undefined : body.error;
  };
  const kept = async (subject: string): Promise<UpstreamTokenRow | null> =>
    store().repository(UpstreamTokenRow).findOneBy({ provider: 'oidc', subject });
  const age = async (subject: string, seconds: number): Promise<void> => {
    await store().commit([
      sql`UPDATE identity SET last_used_at = last_used_at - ${seconds} WHERE provider = ${'oidc'} AND subject = ${subject}`,
      sql`UPDATE admission SET tried_at = tried_at - ${seconds}, admitted_at = admitted_at - ${seconds} WHERE provider = ${'oidc'} AND subject = ${subject}`,
    ]);
  };

  it('a connection’s tools act as the account that it signed in with, whichever signed in last', async () => {
    const [first, second] = [await connect(work), await connect(home)];
    expect(await mailbox(first.accessToken)).toContain(work);
    expect(await mailbox(second.accessToken)).toContain(home);
  });

  it('a refresh ahead of the end renews the one account’s tokens and leaves the other’s alone', async () => {
    fake.expiresIn = 30;
    const first = await connect(work);
    const second = await connect(home);
    const before = await kept(home);
    fake.requests.length = 0;
    expect(await mailbox(first.accessToken)).toContain(work);
    expect(fake.count('POST /token')).toBe(1);
    expect(await kept(home)).toEqual(before);
    expect(await mailbox(second.accessToken)).toContain(home);
  });

  it('T2: an account that the upstream cut off ends its own connections; the other account’s go on', async () => {
    const [first, second] = [await connect(work), await connect(home)];
    fake.forgetTokens(work);
    expect(await mailbox(first.accessToken)).toContain('To reconnect, sign in with Acme');
    expect(await mailbox(second.accessToken)).toContain(home);
    expect(await refresh(first)).toBe('invalid_grant');
    expect(await refresh(second)).toBeUndefined();
    expect(await mailbox(second.accessToken)).toContain(home);
    const again = await connect(work);
    expect(await mailbox(again.accessToken)).toContain(work);
  });

  it('an account that no rule admits any more ends its own connections only', async () => {
    const [first, second] = [await connect(work), await connect(home)];
    // Whoever asks for the account now is told that it left the group; id_token claims of the sign-in are overruled by userinfo.
    fake.fault('GET /userinfo', { body: { ...person(work), groups: [] } });
    await age(work, 901);
    expect(await refresh(first)).toBe('invalid_grant');
    fake.mend();
    await age(home, 901);
    expect(await refresh(second)).toBeUndefined();
    expect(await mailbox(second.accessToken)).toContain(home);
  });

  it('an account that is taken away is revoked upstream with its connections; the other stays as it was', async () => {
    const [first, second] = [await connect(work), await connect(home)];
    const elsewhere = await account(work);
    const browser = await account(home);
    const before = await kept(home);
    fake.requests.length = 0;
    await browser.press(`identity=oidc ${work}`);
    expect(await kept(work)).toBeNull();
    expect((await callTool(gatehouse.mcpUrl, first.accessToken, 'mailbox')).status).toBe(401);
    expect(await refresh(first)).toBe('invalid_grant');
    expect(await mailbox(second.accessToken)).toContain(home);
    expect(await refresh(second)).toBeUndefined();
    await expect.poll(() => fake.count('POST /revoke')).toBe(1);
    expect(await kept(home)).toEqual(before);
    // What was signed in to with it is signed out, in every browser.
    expect((await elsewhere.open(`${gatehouse.url}/account`)).text).toContain('Sign in to your account');
    const ended = await store().repository(EventRow).findBy({ type: 'grant.revoked', provider: 'oidc' });
    expect(ended.at(-1)).toMatchObject({ detail: { reason: 'account-removed' } });
  });

  it('a personal token uses the account most recently signed in with', async () => {
    const { id } = await me();
    const { token } = await gatehouse.app
      .get(PersonalTokens)
      .create({ name: 't', userId: id, scopes: ['mcp'], expiresAt: null, actor: id });
    await connect(work);
    await age(home, 5);
    expect(await mailbox(token)).toContain(work);
    await connect(home);
    await age(work, 5);
    expect(await mailbox(token)).toContain(home);
  });

  it('a browser that stays signed in connects the next application by the account it signed in with', async () => {
    const first = await connect(work);
    await connect(home);
    await age(work, 5);
    const next = await TestClient.register(gatehouse.url, { client_name: 'Next' });
    const page = await first.browser.open(next.authorizeUrl());
    expect(page.text).toContain(`${work}@acme.example`);
    await first.browser.press('decision=approve');
    const answer = await next.redeem(first.browser.stoppedAt.searchParams.get('code')!);
    expect(await mailbox(answer.body.access_token!)).toContain(work);
    // The same again without a page: it was approved before.
    await first.browser.open(next.authorizeUrl());
    const silent = await next.redeem(first.browser.stoppedAt.searchParams.get('code')!);
    expect(await mailbox(silent.body.access_token!)).toContain(work);
  });

  it('erasing the person gives both accounts’ tokens back', async () => {
    await connect(work);
    await connect(home);
    fake.requests.length = 0;
    const answer = await fetch(`${gatehouse.url}/admin/v1/users/${(await me()).id}`, {
      method: 'DELETE',
      headers: { authorization: 'Bearer an-admin-token-of-more-than-32-characters' },
    });
    expect(answer.status).toBe(204);
    await expect.poll(() => fake.count('POST /revoke')).toBe(2);
    expect([await kept(work), await kept(home)]).toEqual([null, null]);
  });
});
